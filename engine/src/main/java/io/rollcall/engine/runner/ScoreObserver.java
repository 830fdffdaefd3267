package io.rollcall.engine.runner;

import java.util.List;

/** Sees the scores that a decode step's neurons are called by. */
@FunctionalInterface
public interface ScoreObserver {

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
