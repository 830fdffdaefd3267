package io.rollcall.engine.algebra;

import io.rollcall.kernels.Kernels;
import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WeightType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Products of row-major f32 matrices with the kernels that multiply weights by activations. */
public final class Products {
  private final Kernels kernels;
  private float[] transposed = new float[0];

  public Products(Kernels kernels) {
    this.kernels = kernels;
  }

  /**
   * y = a b^T.
   *
   * @param a [n x k]
   * @param b [m x k]
   * @param y [n x m]
   */
  public void rowsByRows(float[] a, int n, float[] b, int m, int k, float[] y) {
    kernels.matmul(matrix(b, m, k), a, n, y);
  }

  /** The same with b as it is stored. */
  public void rowsByRows(float[] a, int n, WeightMatrix b, float[] y) {
    kernels.matmul(b, a, n, y);
  }

  /**
   * y = a b.
   *
   * @param a [n x m]
   * @param b [m x k]
   * @param y [n x k]
   */
  public void rowsByColumns(float[] a, int n, float[] b, int m, int k, float[] y) {
    kernels.sumRows(matrix(b, m, k), a, n, y);
  }

  /**
   * y = a^T b.
   *
   * @param a [n x m]
   * @param b [n x k]
   * @param y [m x k]
   */
  public void columnsByColumns(float[] a, float[] b, int n, int m, int k, float[] y) {
    if (transposed.length < n * m) {
      transposed = new float[n * m];
    }
    transpose(a, n, m, transposed);
    kernels.sumRows(matrix(b, n, k), transposed, m, y);
  }

  /** By blocks that stay in the cache. */
  private static void transpose(float[] a, int n, int m, float[] y) {
    int block = 16;
    for (int r = 0; r < n; r += block) {
      for (int c = 0; c < m; c += block) {
        int rows = Math.min(n, r + block);
        int columns = Math.min(m, c + block);
        for (int i = r; i < rows; i++) {
          for (int j = c; j < columns; j++) {
            y[j * n + i] = a[i * m + j];
          }
        }
      }
    }
  }

  private static WeightMatrix matrix(float[] elements, int rows, int columns) {
    ByteBuffer data =
        ByteBuffer.allocate(Math.multiplyExact(rows * columns, Float.BYTES))
            .order(ByteOrder.LITTLE_ENDIAN);
    data.asFloatBuffer().put(elements, 0, rows * columns);
    return WeightMatrix.of(WeightType.F32, rows, columns, data);
  }
}
