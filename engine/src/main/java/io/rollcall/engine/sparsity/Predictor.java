package io.rollcall.engine.sparsity;

import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WeightType;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

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
    return matrix(rank, hidden(), a);
  }

  /** B for kernels on the heap. */
  public WeightMatrix up() {
    return matrix(intermediate(), rank, b);
  }

  private static WeightMatrix matrix(int rows, int columns, short[] elements) {
    ByteBuffer data =
        ByteBuffer.allocate(2 * elements.length).order(ByteOrder.LITTLE_ENDIAN);
    data.asShortBuffer().put(elements);
    return WeightMatrix.of(WeightType.BF16, rows, columns, data);
  }
}
