package io.rollcall.engine.sparsity;

import io.rollcall.kernels.WeightType;

/**
 * Feed-forward weight bytes that one layer reads in one decode step: the formulas of each method over
 * hidden size d, intermediate size f and the number of rows loaded, rf.
 *
 * @param hidden d, elements of a neuron's row in each of gate, up and down
 * @param intermediate f
 * @param type precision of the three matrices
 */
public record FeedForwardCost(int hidden, int intermediate, WeightType type) {

  /** 3df: what dense reads, and what a sparse method reads in a step past its crossover. */
  public long dense() {
    return rowBytes() * 3 * intermediate;
  }

  /**
   * Bytes at {@code rows} loaded rows: df(1 + 2r) for cats and m-countdown, 2df + dfr for the
   * oracles.
   */
  public long read(Method method, int rows) {
    return rowBytes()
        * switch (method) {
          case DENSE -> 3L * intermediate;
          case CATS, M_COUNTDOWN -> intermediate + 2L * rows;
          case D_COUNTDOWN_ORACLE, S_COUNTDOWN_ORACLE -> 2L * intermediate + rows;
          case D_COUNTDOWN, S_COUNTDOWN -> throw new IllegalArgumentException(
              method + " reads its predictor too");
        };
  }

  private long rowBytes() {
    return type.bytes(hidden);
  }
}
