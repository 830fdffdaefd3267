package io.rollcall.engine.calibration;

import java.util.Arrays;

/**
 * What dropping neurons of one layer alone costs and saves, between the sparsities it was measured at.
 * The square root of a divergence grows about as the error of the layer's output does, so that is what
 * is drawn as lines.
 */
final class LayerSensitivity {
  private static final int STEPS = 100;

  private final double[] sparsity;
  private final double[] root;
  private final double[] bytes;

  /**
   * @param sparsity ascending, from 0
   * @param divergence from dense, nats a position
   * @param bytes read, to dense
   */
  LayerSensitivity(double[] sparsity, double[] divergence, double[] bytes) {
    this.sparsity = sparsity;
    this.bytes = bytes;
    root = new double[divergence.length];
    for (int i = 1; i < root.length; i++) {
      // what was measured to cost less at more sparsity is noise
      root[i] = Math.max(root[i - 1], Math.sqrt(Math.max(0, divergence[i] - divergence[0])));
    }
  }

  double divergence(double s) {
    double between = line(root, s);
    return between * between;
  }

  /** The sparsity with the least bytes + price * divergence, of a hundred. */
  double best(double price) {
    int best = 0;
    double least = Double.MAX_VALUE;
    for (int step = 0; step <= STEPS * sparsity[sparsity.length - 1]; step++) {
      double s = (double) step / STEPS;
      double cost = line(bytes, s) + price * divergence(s);
      if (cost < least) {
        least = cost;
        best = step;
      }
    }
    return (double) best / STEPS;
  }

  private double line(double[] values, double s) {
    int at = Arrays.binarySearch(sparsity, s);
    int right = Math.min(values.length - 1, at >= 0 ? at : -at - 1);
    if (right == 0 || s >= sparsity[right]) {
      return values[right];
    }
    double within = (s - sparsity[right - 1]) / (sparsity[right] - sparsity[right - 1]);
    return values[right - 1] + within * (values[right] - values[right - 1]);
  }
}
