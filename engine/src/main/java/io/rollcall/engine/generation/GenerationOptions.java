package io.rollcall.engine.generation;

import io.rollcall.engine.UserException;
import io.rollcall.engine.sampling.Sampling;

/**
 * How to decode.
 *
 * @param batchSize most sequences in a decode step
 * @param maxNewTokens most tokens generated for a prompt
 * @param context positions a sequence may take, prompt and answer; the key/value cache holds
 *     batchSize x context, on a device what fits of that
 * @param temperature 0 for greedy
 * @param topP nucleus of the sampled distribution, in (0, 1]
 * @param seed of the random streams, with each prompt's id
 */
public record GenerationOptions(
    int batchSize, int maxNewTokens, int context, double temperature, double topP, long seed) {

  public GenerationOptions {
    require(batchSize >= 1, "batch size " + batchSize + " is below 1");
    require(maxNewTokens >= 1, "max new tokens " + maxNewTokens + " is below 1");
    require(context >= 2, "context " + context + " is below 2");
    new Sampling(temperature, topP);
  }

  /** Greedy decoding. */
  public static GenerationOptions greedy(int batchSize, int maxNewTokens, int context) {
    return new GenerationOptions(batchSize, maxNewTokens, context, 0, 1, 0);
  }

  public Sampling sampling() {
    return new Sampling(temperature, topP);
  }

  private static void require(boolean holds, String otherwise) {
    if (!holds) {
      throw new UserException(otherwise);
    }
  }
}
