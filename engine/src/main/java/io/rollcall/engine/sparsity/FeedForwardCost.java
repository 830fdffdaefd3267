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

  /** 3df: what dense reads. */
  public long dense() {
    return rowBytes() * 3 * intermediate;
  }

  /**
   * Bytes at {@code rows} loaded rows: df(1 + 2r) for cats and m-countdown, 2df + dfr for the
   * oracles, 3dfr and the predictor's with one. A step past the crossover loads all f rows.
   *
   * @param predictorBytes {@link Predictor#bytes}; of no matter to a method without a predictor
   */
  public long read(Method method, int rows, long predictorBytes) {
    return switch (method) {
      case DENSE -> dense();
      case CATS, M_COUNTDOWN -> rowBytes() * (intermediate + 2L * rows);
      case D_COUNTDOWN_ORACLE, S_COUNTDOWN_ORACLE -> rowBytes() * (2L * intermediate + rows);
      case D_COUNTDOWN, S_COUNTDOWN ->
          predictorBytes + rowBytes() * 3 * rows;
    };
  }

  /**
   * Bytes of a layer's correction, d + 2rd elements in bf16 whatever the weights' precision.
   *
   * @param correction null for none
   */
  public long read(Correction correction) {
    return correction == null
        ? 0
        : WeightType.BF16.bytes(Correction.parameters(correction.rank(), hidden, 1));
  }

  /**
   * Bytes of a layer's neuron scales, f elements in bf16 whatever the weights' precision.
   *
   * @param scales null for none
   */
  public long read(NeuronScales scales) {
    return scales == null ? 0 : WeightType.BF16.bytes(intermediate);
  }

  private long rowBytes() {
    return type.bytes(hidden);
  }
}
