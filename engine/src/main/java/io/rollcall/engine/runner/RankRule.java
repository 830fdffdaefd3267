package io.rollcall.engine.runner;

import io.rollcall.engine.sparsity.Quantiles;

/** Keeps the neurons with the largest scores of one sequence: as many in every layer and step. */
final class RankRule implements ThresholdRule {
  private final float[] sorted;
  private final int dropped;

  /**
   * @param intermediate f
   * @param sparsity fraction of neurons dropped
   */
  RankRule(int intermediate, double sparsity) {
    sorted = new float[intermediate];
    dropped = Math.max(1, (int) (intermediate * sparsity));
  }

  /** The largest score among those dropped. */
  @Override
  public float threshold(int layer, int bucket, float[] scores, int batch, float[] scale) {
    if (batch != 1) {
      throw new IllegalArgumentException("ranks are of one sequence, not of " + batch);
    }
    for (int i = 0; i < sorted.length; i++) {
      sorted[i] = Math.abs(scores[i]) * (scale == null ? 1 : scale[i]);
    }
    return Quantiles.select(sorted, sorted.length, dropped - 1);
  }
}
