package io.rollcall.jobs.generate;

import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.output.WriteMode;
import io.rollcall.jobs.runtime.ModelSource;

/**
 * All options of a generate run.
 *
 * @param output directory of the tables
 * @param partitions tasks to split the prompts over; 0 to follow from their number and the cores
 */
public record GenerateRequest(
    PromptSource input,
    String output,
    WriteMode mode,
    ModelSource model,
    SparsityRequest sparsity,
    Decoding decoding,
    int partitions) {

  public GenerateRequest {
    if (partitions < 0) {
      throw new UsageException(
          "--partitions " + partitions + " is below 0; leave it out to follow the prompts");
    }
  }

  /** The same in another write mode. */
  public GenerateRequest withMode(WriteMode other) {
    return new GenerateRequest(input, output, other, model, sparsity, decoding, partitions);
  }

  /** The same over another number of tasks. */
  public GenerateRequest withPartitions(int other) {
    return new GenerateRequest(input, output, mode, model, sparsity, decoding, other);
  }
}
