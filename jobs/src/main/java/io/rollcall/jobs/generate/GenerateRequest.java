package io.rollcall.jobs.generate;

import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.output.WriteMode;
import io.rollcall.jobs.runtime.ModelSource;

/**
 * All options of a generate run.
 *
 * @param output directory of the tables
 * @param partitions tasks to split the prompts over; 0 to follow from their number and the cores
 * @param crossover the union densities from which layers run dense; null to have each process measure
 *     them
 */
public record GenerateRequest(
    PromptSource input,
    String output,
    WriteMode mode,
    ModelSource model,
    SparsityRequest sparsity,
    Decoding decoding,
    int partitions,
    Crossover crossover) {

  public GenerateRequest {
    if (partitions < 0) {
      throw new UsageException(
          "--partitions " + partitions + " is below 0; leave it out to follow the prompts");
    }
    if (crossover != null && sparsity.method() == Method.DENSE) {
      throw new UsageException(
          "--crossover says when a sparse layer runs dense; leave it out with --method dense");
    }
  }

  /** With a measured crossover. */
  public GenerateRequest(
      PromptSource input,
      String output,
      WriteMode mode,
      ModelSource model,
      SparsityRequest sparsity,
      Decoding decoding,
      int partitions) {
    this(input, output, mode, model, sparsity, decoding, partitions, null);
  }

  /** The same in another write mode. */
  public GenerateRequest withMode(WriteMode other) {
    return new GenerateRequest(
        input, output, other, model, sparsity, decoding, partitions, crossover);
  }

  /** The same over another number of tasks. */
  public GenerateRequest withPartitions(int other) {
    return new GenerateRequest(
        input, output, mode, model, sparsity, decoding, other, crossover);
  }

  /** The same with a given crossover. */
  public GenerateRequest withCrossover(Crossover other) {
    return new GenerateRequest(
        input, output, mode, model, sparsity, decoding, partitions, other);
  }
}
