package io.rollcall.kernels;

/**
 * The compute primitives of a gated-MLP transformer with sparse feed-forward layers.
 *
 * <p>Activations are row-major f32 arrays [batch x width] that begin at element 0 and may be longer
 * than batch x width. Outputs never alias inputs unless said so. An instance belongs to one thread
 * at a time and spreads its work over the {@link WorkerPool} it was made with.
 *
 * <p><b>Batch invariance.</b> What is computed for one row of activations depends, to the last bit,
 * on that row alone: not on the batch, its place in it, nor the number of workers. A weight row gives
 * the same product whether it is reached through {@link #matmul} or {@link #matmulRows}, and a
 * coefficient of zero in {@link #sumRows} leaves the sum as if its row were absent. This is what lets
 * union strategy {@code own} give a sequence the same text in any company.
 */
public interface Kernels {

  /** What runs, for logs and run records: provider, vector width, workers. */
  String description();

  /**
   * Dense product y = x W^T.
   *
   * @param w [n x k]
   * @param x [batch x k]
   * @param y [batch x n], overwritten
   */
  void matmul(WeightMatrix w, float[] x, int batch, float[] y);

  /**
   * The same over chosen rows of W: y[b][j] = dot(w[rows[j]], x[b]).
   *
   * @param y [batch x rows.count()], overwritten
   */
  void matmulRows(WeightMatrix w, RowIndex rows, float[] x, int batch, float[] y);

  /**
   * Sum of all rows with a coefficient each, y[b] = sum_i c[b][i] w[i]: the down projection stored
   * transposed, one contiguous row a neuron.
   *
   * @param w [f x d]
   * @param c [batch x f]
   * @param y [batch x d], overwritten
   */
  void sumRows(WeightMatrix w, float[] c, int batch, float[] y);

  /**
   * The same over chosen rows: y[b] = sum_j c[b][j] w[rows[j]]; zero where rows is empty.
   *
   * @param c [batch x rows.count()]
   */
  void sumRows(WeightMatrix w, RowIndex rows, float[] c, int batch, float[] y);

  /**
   * RMS normalisation, y = x / sqrt(mean(x^2) + epsilon) * weight.
   *
   * @param x [batch x width]
   * @param weight [width]
   * @param y [batch x width], may be x
   */
  void rmsNorm(float[] x, int batch, int width, float[] weight, float epsilon, float[] y);

  /** x += y over the first n elements. */
  void add(float[] x, float[] y, int n);

  /**
   * Rotary position embedding in place, halves rotated against each other (as transformers does):
   * (a, b) at i and i + headSize/2 become (a cos - b sin, b cos + a sin).
   *
   * @param x [tokens x heads x headSize]
   * @param positions [tokens]
   * @param cos [context x headSize/2]
   * @param sin likewise
   */
  void rope(
      float[] x, int tokens, int heads, int headSize, int[] positions, float[] cos, float[] sin);

  /**
   * Causal grouped-query attention over a cache, scores scaled by 1/sqrt(headSize). Token t reads
   * positions 0 .. positions[t] of the slot that begins at slotOffsets[t]; its own key and value are
   * there already. Consecutive tokens of one slot are one sequence's prefill.
   *
   * @param q [tokens x heads x headSize]
   * @param keys cache of one layer; a slot is [kvHeads x context x headSize]
   * @param values likewise
   * @param slotOffsets [tokens], in floats
   * @param positions [tokens]
   * @param out [tokens x heads x headSize], overwritten
   */
  void attention(
      AttentionShape shape,
      float[] q,
      float[] keys,
      float[] values,
      int[] slotOffsets,
      int[] positions,
      int tokens,
      float[] out);

  /** Softmax in place over each row of x [rows x width]. */
  void softmax(float[] x, int rows, int width);

  /** x = act(x) in place over the first n elements. */
  void activate(Activation activation, float[] x, int n);

  /** gate = act(gate) * up over the first n elements. */
  void activateAndMultiply(Activation activation, float[] gate, float[] up, int n);

  /**
   * compact[b][j] *= wide[b][rows[j]].
   *
   * @param wide [batch x width]
   * @param compact [batch x rows.count()], in and out
   */
  void multiplyGathered(float[] wide, int batch, int width, RowIndex rows, float[] compact);

  /**
   * compact[b][j] = wide[b][rows[j]].
   *
   * @param wide [batch x width]
   * @param compact [batch x rows.count()], overwritten
   */
  void gather(float[] wide, int batch, int width, RowIndex rows, float[] compact);

  /**
   * Which neurons a batch calls: neuron i is called by b when abs(scores[b][i]) * scale[i] >
   * threshold. Writes the union of the called neurons, ascending, and how many each sequence called.
   *
   * @param scores [batch x width]
   * @param scale [width], or null for ones
   * @param union overwritten; its capacity is at least width
   * @param called [batch], overwritten
   */
  void union(
      float[] scores,
      int batch,
      int width,
      float[] scale,
      float threshold,
      RowIndex union,
      int[] called);

  /**
   * Sets compact[b][j] to zero where b did not call rows[j], by the rule of {@link #union}.
   *
   * @param scores [batch x width]
   * @param compact [batch x rows.count()], in and out
   */
  void dropUncalled(
      float[] scores,
      int batch,
      int width,
      float[] scale,
      float threshold,
      RowIndex rows,
      float[] compact);

  /**
   * Batch energy of each neuron: energy[i] = sum_b (scores[b][i] scale[i])^2 / sum_k (scores[b][k]
   * scale[k])^2, so that every sequence counts the same; a sequence whose scores are all zero counts
   * nothing.
   *
   * @param energy [width], overwritten
   */
  void batchEnergy(float[] scores, int batch, int width, float[] scale, float[] energy);
}
