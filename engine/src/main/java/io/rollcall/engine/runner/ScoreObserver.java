package io.rollcall.engine.runner;

import java.util.List;

/** Sees the scores that a decode step's neurons are called by, and on the CPU what they come from. */
@FunctionalInterface
public interface ScoreObserver {

  /**
   * The inputs of the scores that follow. Only the CPU shows them.
   *
   * @param x [batch x d]; only for the duration of the call
   */
  default void input(int layer, float[] x, int batch) {}

  /**
   * A step begins.
   *
   * @param sequences of it, in the order of the scores' rows
   */
  default void begin(List<DecodeSequence> sequences) {}

  /**
   * @param scores [batch x f], signed; only for the duration of the call
   * @param scale [f] factors of the scores, or null for ones
   * @param bucket of the step's batch size
   */
  void observe(int layer, int bucket, float[] scores, int batch, float[] scale);
}
