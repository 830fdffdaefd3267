package io.rollcall.jobs.evaluate;

import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityProfile;

/**
 * A profile under evaluation.
 *
 * @param file where it lies; null for dense and for the model's own
 */
record Candidate(String file, SparsityProfile profile) {

  /** Asked of steps with so many sequences; 0 for dense. */
  double sparsity(int batchSize) {
    double[] asked = profile.sparsity();
    return asked.length == 0 ? 0 : asked[Math.min(BatchBuckets.of(batchSize), asked.length - 1)];
  }

  /** Null without corrections. */
  Integer correctionRank() {
    return profile.corrections() == null ? null : profile.corrections().rank();
  }

  Method method() {
    return profile.method();
  }
}
