package io.rollcall.engine.recovery;

import java.io.Serializable;
import java.util.Arrays;

/**
 * Weighted sums over decode positions of a layer's inputs x and errors e [d]: all that least squares of
 * e on x needs of them. Those of several tasks add up.
 */
public final class ErrorMoments implements Serializable {
  private final int hidden;
  /** By batch bucket. */
  private final long[] count;

  private final double[] weights;
  private final double[] squares;
  private final double[][] inputs;
  private final double[][] errors;
  /** X^T X and X^T E [d x d] over all buckets; null where only means are wanted. */
  private final double[] gram;

  private final double[] cross;

  /**
   * @param hidden d
   * @param products whether the sums of products are kept, 16 d^2 bytes
   */
  public ErrorMoments(int hidden, int buckets, boolean products) {
    this.hidden = hidden;
    count = new long[buckets];
    weights = new double[buckets];
    squares = new double[buckets];
    inputs = new double[buckets][hidden];
    errors = new double[buckets][hidden];
    gram = products ? new double[hidden * hidden] : null;
    cross = products ? new double[hidden * hidden] : null;
  }

  /** Adds the others'. */
  public ErrorMoments plus(ErrorMoments others) {
    for (int k = 0; k < count.length; k++) {
      count[k] += others.count[k];
      weights[k] += others.weights[k];
      squares[k] += others.squares[k];
      add(inputs[k], others.inputs[k]);
      add(errors[k], others.errors[k]);
    }
    if (gram != null) {
      add(gram, others.gram);
      add(cross, others.cross);
    }
    return this;
  }

  /** Adds one position, but for the products. */
  void add(int bucket, double weight, float[] x, float[] e, int offset) {
    count[bucket]++;
    weights[bucket] += weight;
    for (int i = 0; i < hidden; i++) {
      double error = e[offset + i];
      inputs[bucket][i] += weight * x[offset + i];
      errors[bucket][i] += weight * error;
      squares[bucket] += weight * error * error;
    }
  }

  /** Adds weighted products of some positions, X^T X and X^T E. */
  void addProducts(float[] inputProducts, float[] errorProducts) {
    for (int i = 0; i < gram.length; i++) {
      gram[i] += inputProducts[i];
      cross[i] += errorProducts[i];
    }
  }

  private static void add(double[] sums, double[] others) {
    for (int i = 0; i < sums.length; i++) {
      sums[i] += others[i];
    }
  }

  int hidden() {
    return hidden;
  }

  int buckets() {
    return count.length;
  }

  boolean hasProducts() {
    return gram != null;
  }

  /** Positions of a bucket. */
  public long count(int bucket) {
    return count[bucket];
  }

  /** Positions of all buckets. */
  public long count() {
    return Arrays.stream(count).sum();
  }

  /** Sum of the weights of a bucket. */
  double weight(int bucket) {
    return weights[bucket];
  }

  /** Sum of all weights. */
  double weight() {
    return Arrays.stream(weights).sum();
  }

  /** Sum of |e|^2. */
  double squares(int bucket) {
    return squares[bucket];
  }

  /** Sum of x, [d]. */
  double[] inputs(int bucket) {
    return inputs[bucket];
  }

  /** Sum of e, [d]. */
  double[] errors(int bucket) {
    return errors[bucket];
  }

  double[] gram() {
    return gram;
  }

  double[] cross() {
    return cross;
  }
}
