package io.rollcall.kernels.cpu;

import io.rollcall.kernels.WeightMatrix;

/**
 * A product with all rows of a matrix or with chosen ones.
 *
 * @param rows chosen row numbers, or null for all
 * @param count rows that take part
 * @param x for dot products [batch x w.paddedColumns()]; for sums of rows the coefficients [batch x
 *     count]
 * @param y [batch x count] for dot products, [batch x w.columns()] for sums of rows
 */
record Product(WeightMatrix w, int[] rows, int count, float[] x, int batch, float[] y) {
  int row(int i) {
    return rows == null ? i : rows[i];
  }
}
