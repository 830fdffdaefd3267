package io.rollcall.engine.runner;

import io.rollcall.engine.sparsity.SparsityProfile;

/** What a neuron's score must be above to be called, in one layer of one step. */
@FunctionalInterface
interface ThresholdRule {

  /** Parameters are {@link ScoreObserver}'s. */
  float threshold(int layer, int bucket, float[] scores, int batch, float[] scale);

  /** The profile's, whatever the scores. */
  static ThresholdRule of(SparsityProfile profile) {
    return (layer, bucket, scores, batch, scale) -> profile.threshold(bucket, layer);
  }
}
