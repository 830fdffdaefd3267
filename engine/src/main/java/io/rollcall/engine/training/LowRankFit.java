package io.rollcall.engine.training;

import java.util.SplittableRandom;

/**
 * Where a predictor's training begins: the best product of rank k from inputs X [n x d] to targets Y [n
 * x f] in least squares.
 *
 * <p>With C = X^T X / n + ridge = R R^T and M = R^-1 X^T Y / n, any W errs by |M - R^T W|^2 and what no
 * W can help. So W = R^-T U U^T M, where U are the first k left singular vectors of M, found by
 * subspace iteration on M M^T; A = (R^-T U)^T and B = (U^T M)^T.
 */
final class LowRankFit {
  /** Of the mean square of an input: most of what is learnt from few positions alone is noise. */
  private static final double RIDGE = 0.3;

  private static final int ITERATIONS = 16;

  private final int d;
  private final int f;
  /** X^T X, then R. */
  private final double[][] gram;
  /** X^T Y, then M. */
  private final float[][] cross;

  private long count;

  LowRankFit(int hidden, int intermediate) {
    d = hidden;
    f = intermediate;
    gram = new double[d][d];
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
    for (int i = 0; i < d; i++) {
      for (int j = 0; j < d; j++) {
        gram[i][j] += product[i * d + j];
      }
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
  void solve(int rank, long seed, float[] a, float[] b) {
    factor();
    forwardSubstitute();
    double[][] directions = leading(rank, seed); // U^T [k x d]
    for (int k = 0; k < rank; k++) {
      float[] response = new float[f];
      for (int i = 0; i < d; i++) {
        axpy((float) directions[k][i], cross[i], response);
      }
      backSubstitute(directions[k]);
      double norm = 0;
      for (float value : response) {
        norm += (double) value * value;
      }
      // what A and B are multiplied by is shared between them, so that one learning rate suits both
      double scale = Math.sqrt(Math.sqrt(norm)) + 1e-30;
      for (int i = 0; i < d; i++) {
        a[k * d + i] = (float) (directions[k][i] * scale);
      }
      for (int i = 0; i < f; i++) {
        b[i * rank + k] = (float) (response[i] / scale);
      }
    }
  }

  /** Cholesky: gram's lower triangle becomes R. */
  private void factor() {
    double mean = 0;
    for (int i = 0; i < d; i++) {
      mean += gram[i][i] / count / d;
    }
    for (int i = 0; i < d; i++) {
      for (int j = 0; j < d; j++) {
        gram[i][j] /= count;
      }
      gram[i][i] += RIDGE * mean + 1e-12;
    }
    for (int i = 0; i < d; i++) {
      for (int j = 0; j <= i; j++) {
        double sum = gram[i][j];
        for (int k = 0; k < j; k++) {
          sum -= gram[i][k] * gram[j][k];
        }
        gram[i][j] = i == j ? Math.sqrt(sum) : sum / gram[j][j];
      }
    }
  }

  /** cross becomes M = R^-1 X^T Y / n. */
  private void forwardSubstitute() {
    for (int i = 0; i < d; i++) {
      scale(1f / count, cross[i]);
      for (int j = 0; j < i; j++) {
        axpy((float) -gram[i][j], cross[j], cross[i]);
      }
      scale((float) (1 / gram[i][i]), cross[i]);
    }
  }

  /** v becomes R^-T v. */
  private void backSubstitute(double[] v) {
    for (int i = d - 1; i >= 0; i--) {
      double sum = v[i];
      for (int j = i + 1; j < d; j++) {
        sum -= gram[j][i] * v[j];
      }
      v[i] = sum / gram[i][i];
    }
  }

  /** An orthonormal basis of the first left singular vectors of M, as rows. */
  private double[][] leading(int rank, long seed) {
    double[][] square = new double[d][d]; // M M^T
    for (int i = 0; i < d; i++) {
      for (int j = 0; j <= i; j++) {
        square[i][j] = square[j][i] = dot(cross[i], cross[j]);
      }
    }
    SplittableRandom random = new SplittableRandom(seed);
    double[][] basis = new double[rank][d];
    for (double[] row : basis) {
      for (int i = 0; i < d; i++) {
        row[i] = random.nextGaussian();
      }
    }
    orthonormalise(basis);
    for (int iteration = 0; iteration < ITERATIONS; iteration++) {
      for (int k = 0; k < rank; k++) {
        double[] row = new double[d];
        for (int i = 0; i < d; i++) {
          axpy(basis[k][i], square[i], row);
        }
        basis[k] = row;
      }
      orthonormalise(basis);
    }
    return basis;
  }

  /** Gram-Schmidt, twice for the digits that the first time loses. */
  private static void orthonormalise(double[][] rows) {
    for (int k = 0; k < rows.length; k++) {
      for (int time = 0; time < 2; time++) {
        for (int j = 0; j < k; j++) {
          axpy(-dot(rows[k], rows[j]), rows[j], rows[k]);
        }
      }
      double norm = Math.sqrt(dot(rows[k], rows[k]));
      for (int i = 0; i < rows[k].length; i++) {
        rows[k][i] = norm > 0 ? rows[k][i] / norm : 0;
      }
    }
  }

  private static void scale(float factor, float[] x) {
    for (int i = 0; i < x.length; i++) {
      x[i] *= factor;
    }
  }

  private static void axpy(float factor, float[] x, float[] y) {
    for (int i = 0; i < y.length; i++) {
      y[i] += factor * x[i];
    }
  }

  private static void axpy(double factor, double[] x, double[] y) {
    for (int i = 0; i < y.length; i++) {
      y[i] += factor * x[i];
    }
  }

  private static double dot(double[] x, double[] y) {
    double a = 0;
    double b = 0;
    double c = 0;
    double e = 0;
    int i = 0;
    for (; i + 4 <= x.length; i += 4) {
      a += x[i] * y[i];
      b += x[i + 1] * y[i + 1];
      c += x[i + 2] * y[i + 2];
      e += x[i + 3] * y[i + 3];
    }
    for (; i < x.length; i++) {
      a += x[i] * y[i];
    }
    return a + b + (c + e);
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
