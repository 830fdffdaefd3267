package io.rollcall.jobs.report;

import io.rollcall.jobs.UsageException;
import java.util.List;
import java.util.OptionalDouble;

/**
 * What a report is about.
 *
 * @param inputs folders that generate or demo wrote; at least one
 * @param output path of the page
 * @param evaluations folders that evaluate wrote; may be empty
 * @param hourPrice of a GPU, or of whatever a task computes on; empty leaves costs in hours
 */
public record ReportRequest(
    List<String> inputs, String output, List<String> evaluations, OptionalDouble hourPrice) {

  public ReportRequest {
    if (inputs.isEmpty()) {
      throw new UsageException("--input names no folder; give one that generate or demo wrote");
    }
    if (!output.endsWith(".html")) {
      throw new UsageException("--output " + output + " does not end in .html; name the page's file");
    }
    if (hourPrice.isPresent() && !(hourPrice.getAsDouble() > 0)) {
      throw new UsageException(
          "--price-per-gpu-hour "
              + hourPrice.getAsDouble()
              + " is not above 0; leave it out for costs in hours");
    }
  }
}
