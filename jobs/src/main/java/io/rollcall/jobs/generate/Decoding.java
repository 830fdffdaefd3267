package io.rollcall.jobs.generate;

import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.jobs.UsageException;
import java.io.Serializable;

/**
 * How to decode.
 *
 * @param batchSize most sequences in a decode step of one task
 * @param maxNewTokens most tokens generated for a prompt
 * @param context most positions of a prompt and its answer, bounded by the model's own; the
 *     key/value cache of a task holds batchSize x context, on a device what fits of that
 * @param temperature 0 for greedy
 * @param template raw, summarize, chat or a file; null for the model's own
 */
public record Decoding(
    int batchSize,
    int maxNewTokens,
    int context,
    double temperature,
    double topP,
    long seed,
    String template)
    implements Serializable {

  public Decoding {
    // The engine knows what is allowed; its message is a usage error here.
    try {
      new GenerationOptions(batchSize, maxNewTokens, context, temperature, topP, seed);
    } catch (io.rollcall.engine.UserException e) {
      throw new UsageException(e.getMessage());
    }
    if (temperature == 0 && topP < 1) {
      throw new UsageException(
          "--top-p " + topP + " has no meaning without --temperature; give one above 0");
    }
  }

  /** Without sampling, with the model's own template and a context of at most 4096. */
  public static Decoding greedy(int batchSize, int maxNewTokens) {
    return new Decoding(batchSize, maxNewTokens, 4096, 0, 1, 0, null);
  }

  /**
   * Tasks that documents are split over, so that the full batches of each outweigh those at its end:
   * by the input and the options alone, so that a job can be repeated, unless {@code most} follows the cluster.
   *
   * @param batches of a task, at least
   * @param most tasks
   */
  public int tasks(long documents, int batches, int most) {
    long full = documents / ((long) batches * batchSize);
    return (int) Math.max(1, Math.min(most, full));
  }

  /** What the engine decodes with: the context is the model's at most. */
  public GenerationOptions options(ModelConfig model) {
    return new GenerationOptions(
        batchSize, maxNewTokens, Math.min(context, model.context()), temperature, topP, seed);
  }
}
