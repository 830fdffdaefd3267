package io.rollcall.engine.sparsity;

import java.io.Serializable;

/**
 * What the decode steps of a run do: immutable, sent from the driver to every task.
 *
 * @param profile thresholds, method and union; its method is DENSE for a dense run
 * @param crossover where a layer is better run dense, measured
 */
public record SparsityPlan(SparsityProfile profile, Crossover crossover) implements Serializable {

  /** Every step dense. */
  public static SparsityPlan dense(String modelDigest) {
    return new SparsityPlan(SparsityProfile.dense(modelDigest), Crossover.never());
  }

  public Method method() {
    return profile.method();
  }

  public UnionStrategy union() {
    return profile.union();
  }
}
