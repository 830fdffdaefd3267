package io.rollcall.jobs.recovery;

import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.runtime.BackendChoice;
import io.rollcall.jobs.runtime.ModelSource;

/**
 * All options of fitting corrections.
 *
 * @param references column of what the prompts should be answered with; null to fit to the model's own
 *     answers
 * @param profile file of the profile that corrections are fitted for
 * @param rank of the corrections' maps, 0 for biases alone; null for the largest that may be
 * @param layersPerPass null for as many as the statistics of a pass have room for
 * @param decoding greedy; its batch size is that of the runs which the corrections are for
 * @param output file of the profile with corrections
 */
public record RecoverRequest(
    PromptSource input,
    String references,
    ModelSource model,
    String profile,
    Integer rank,
    Integer layersPerPass,
    Decoding decoding,
    String output) {

  public RecoverRequest {
    if (!input.keepColumns().isEmpty()) {
      throw new UsageException("recover writes no rows; leave out --keep-columns");
    }
    if (rank != null && rank < 0) {
      throw new UsageException(
          "--rank " + rank + " is below 0; 0 fits biases alone, leave it out for the largest");
    }
    if (layersPerPass != null && layersPerPass < 1) {
      throw new UsageException(
          "--layers-per-pass " + layersPerPass + " is below 1; leave it out for as many as fit");
    }
    if (model.backend() == BackendChoice.CUDA) {
      throw new UsageException(
          "--backend cuda cannot fit corrections: a device does not show its layers' inputs; use"
              + " --backend cpu");
    }
    model = model.onCpu();
  }
}
