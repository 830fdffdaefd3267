package io.rollcall.engine.sparsity;

import io.rollcall.kernels.WeightMatrix;
import java.io.Serializable;

/**
 * One layer's low-rank predictor of the neurons that will matter, logit = B (A x): COUNTDOWN's D,
 * arXiv 2505.17701. Elements are bf16 bits.
 *
 * @param rank k
 * @param a [k x d]
 * @param b [f x k]
 */
public record Predictor(int rank, short[] a, short[] b) implements Serializable {

  public int hidden() {
    return a.length / rank;
  }

  public int intermediate() {
    return b.length / rank;
  }

  /** A for kernels on the heap. */
  public WeightMatrix down() {
    return ProfileTensors.matrix(rank, hidden(), a);
  }

  /** B for kernels on the heap. */
  public WeightMatrix up() {
    return ProfileTensors.matrix(intermediate(), rank, b);
  }
}
