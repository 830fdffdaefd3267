package io.rollcall.engine.training;

import io.rollcall.engine.algebra.Products;
import io.rollcall.engine.algebra.ReducedRankRegression;
import org.ejml.data.DMatrixRMaj;

/**
 * Where a predictor's training begins: the best product of rank k from inputs X [n x d] to targets Y [n
 * x f] in least squares, by {@link ReducedRankRegression}.
 */
final class LowRankFit {
  /** Of the mean square of an input: most of what is learnt from few positions alone is noise. */
  private static final double RIDGE = 0.3;

  private final int d;
  private final int f;
  /** X^T X. */
  private final DMatrixRMaj gram;
  /** X^T Y, in floats: it is f / d times as large. */
  private final float[][] cross;

  private long count;

  LowRankFit(int hidden, int intermediate) {
    d = hidden;
    f = intermediate;
    gram = new DMatrixRMaj(d, d);
    cross = new float[d][f];
  }

  /**
   * Adds positions.
   *
   * @param x [n x d]
   * @param y [n x f]
   */
  void add(Products products, float[] x, float[] y, int n) {
    float[] product = new float[d * Math.max(d, f)];
    products.columnsByColumns(x, x, n, d, d, product);
    for (int i = 0; i < d * d; i++) {
      gram.data[i] += product[i];
    }
    products.columnsByColumns(x, y, n, d, f, product);
    for (int i = 0; i < d; i++) {
      for (int j = 0; j < f; j++) {
        cross[i][j] += product[i * f + j];
      }
    }
    count += n;
  }

  /**
   * The product of a rank; only once.
   *
   * @param a receives A [k x d]
   * @param b receives B [f x k]
   */
  void solve(int rank, float[] a, float[] b) {
    double[][] directions = ReducedRankRegression.directions(covariance(), response(), rank);
    for (int k = 0; k < rank; k++) {
      double[] direction = directions[k];
      float[] response = new float[f];
      for (int i = 0; i < d; i++) {
        axpy((float) (direction[i] / count), cross[i], response);
      }
      double norm = 0;
      for (float value : response) {
        norm += (double) value * value;
      }
      // what A and B are multiplied by is shared between them, so that one learning rate suits both
      double scale = Math.sqrt(Math.sqrt(norm)) + 1e-30;
      for (int i = 0; i < d; i++) {
        a[k * d + i] = (float) (direction[i] * scale);
      }
      for (int i = 0; i < f; i++) {
        b[i * rank + k] = (float) (response[i] / scale);
      }
    }
  }

  /** X^T X / n with the ridge. */
  private DMatrixRMaj covariance() {
    DMatrixRMaj covariance = new DMatrixRMaj(d, d);
    double mean = 0;
    for (int i = 0; i < d; i++) {
      mean += gram.get(i, i) / count / d;
    }
    for (int i = 0; i < d * d; i++) {
      covariance.data[i] = gram.data[i] / count;
    }
    for (int i = 0; i < d; i++) {
      covariance.add(i, i, RIDGE * mean + 1e-12);
    }
    return covariance;
  }

  /** X^T Y Y^T X / n^2. */
  private DMatrixRMaj response() {
    DMatrixRMaj response = new DMatrixRMaj(d, d);
    for (int i = 0; i < d; i++) {
      for (int j = 0; j <= i; j++) {
        double product = dot(cross[i], cross[j]) / count / count;
        response.set(i, j, product);
        response.set(j, i, product);
      }
    }
    return response;
  }

  private static void axpy(float factor, float[] x, float[] y) {
    for (int i = 0; i < y.length; i++) {
      y[i] += factor * x[i];
    }
  }

  private static double dot(float[] x, float[] y) {
    double a = 0;
    double b = 0;
    double c = 0;
    double e = 0;
    int i = 0;
    for (; i + 4 <= x.length; i += 4) {
      a += (double) x[i] * y[i];
      b += (double) x[i + 1] * y[i + 1];
      c += (double) x[i + 2] * y[i + 2];
      e += (double) x[i + 3] * y[i + 3];
    }
    for (; i < x.length; i++) {
      a += (double) x[i] * y[i];
    }
    return a + b + (c + e);
  }
}
