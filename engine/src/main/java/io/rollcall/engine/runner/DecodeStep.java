package io.rollcall.engine.runner;

/**
 * What one decode step gave its sequences.
 *
 * @param tokens [sequences] sampled; {@link #NONE} for one that had ended in an earlier step of the call,
 *     or joins in the next
 * @param called [sequences] neurons that each called, over all layers
 * @param loaded rows of the unions, over all layers
 */
public record DecodeStep(int[] tokens, long[] called, long loaded) {
  /** No token. */
  public static final int NONE = -1;
}
