package io.rollcall.engine.sparsity;

import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WeightType;
import java.io.Serializable;

/**
 * One layer's low-rank predictor of the neurons that will matter: with z = A x, logit = B z as in
 * COUNTDOWN's D, arXiv 2505.17701, or B z + |F z|. A score's magnitude is large on both sides of zero,
 * which no logit linear in x can follow; the fold F lets it. Elements are bf16 bits; decode steps read
 * them at a precision of their own.
 *
 * @param rank k
 * @param precision that they are read at: BF16, INT8 or INT4
 * @param a [k x d]
 * @param b [f x k]
 * @param fold F [f x k]; null for none
 */
public record Predictor(int rank, WeightType precision, short[] a, short[] b, short[] fold)
    implements Serializable {

  /** A linear one in bf16. */
  public Predictor(int rank, short[] a, short[] b) {
    this(rank, WeightType.BF16, a, b, null);
  }

  public int hidden() {
    return a.length / rank;
  }

  public int intermediate() {
    return b.length / rank;
  }

  public boolean folded() {
    return fold != null;
  }

  /** logits += |products|, the first n of each, where these are F z. */
  public static void addFold(float[] logits, float[] products, int n) {
    for (int i = 0; i < n; i++) {
      logits[i] += Math.abs(products[i]);
    }
  }

  /** What a decode step reads: k(d + f) elements, k(d + 2f) where folded. */
  public long bytes() {
    long rows = (folded() ? 2L : 1L) * intermediate();
    return rank * precision.bytes(hidden()) + rows * precision.bytes(rank);
  }

  /** A for kernels on the heap. */
  public WeightMatrix reduction() {
    return matrix(rank, hidden(), a);
  }

  /** B for kernels on the heap. */
  public WeightMatrix expansion() {
    return matrix(intermediate(), rank, b);
  }

  /** F for kernels on the heap; null for none. */
  public WeightMatrix foldedExpansion() {
    return folded() ? matrix(intermediate(), rank, fold) : null;
  }

  private WeightMatrix matrix(int rows, int columns, short[] bits) {
    WeightMatrix stored = ProfileTensors.matrix(rows, columns, bits);
    return precision.quantised() ? stored.quantise(precision) : stored;
  }
}
