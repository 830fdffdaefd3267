package io.rollcall.kernels.cpu;

import io.rollcall.kernels.Activation;
import io.rollcall.kernels.RowIndex;

/**
 * What a CPU provider computes on one thread. Shapes and rules are those of {@link
 * io.rollcall.kernels.Kernels}; ranges are [from, to). Weights and cached values are finite.
 */
interface Primitives {
  String description();

  /** y[b][j] for weight rows j in the range. */
  void matmul(Product product, int from, int to, Scratch scratch);

  /** y[b][c] for columns c in the range, which begins at a multiple of 64. */
  void sumRows(Product product, int from, int to, Scratch scratch);

  /** Items kvHead * tokens + token in the range. */
  void attention(AttentionCall call, int from, int to, Scratch scratch);

  /** One row: x[from .. to). */
  void softmax(float[] x, int from, int to);

  /** Rows of the range. */
  void rmsNorm(float[] x, int from, int to, float[] weight, float epsilon, float[] y, int width);

  void add(float[] x, float[] y, int from, int to);

  /** One head of {@code 2 half} elements from {@code at}; cos and sin from {@code angle}. */
  void rope(float[] x, int at, int half, float[] cos, float[] sin, int angle);

  void activate(Activation activation, float[] x, int from, int to);

  void activateAndMultiply(Activation activation, float[] gate, float[] up, int from, int to);

  void union(Scores scores, float threshold, RowIndex union, int[] called, Scratch scratch);

  void batchEnergy(Scores scores, float[] energy);
}
