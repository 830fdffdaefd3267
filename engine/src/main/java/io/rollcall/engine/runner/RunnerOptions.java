package io.rollcall.engine.runner;

import io.rollcall.engine.sampling.Sampling;
import java.util.Set;

/**
 * @param slots most sequences at a time
 * @param context most positions of each
 * @param endTokens any of these ends a sequence between the steps of a call
 * @param workers threads, the caller's included; of no matter to a device
 */
public record RunnerOptions(
    int slots, int context, Sampling sampling, Set<Integer> endTokens, int workers) {

  /** Greedy, and no token ends a sequence. */
  public static RunnerOptions greedy(int slots, int context, int workers) {
    return new RunnerOptions(slots, context, Sampling.greedy(), Set.of(), workers);
  }
}
