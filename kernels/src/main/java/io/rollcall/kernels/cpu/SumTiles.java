package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;

/**
 * The hot loops of y = sum_i c_i w_i over f32 rows.
 *
 * <p>A column of a sum is one chain of fused multiply-adds over ascending rows, whatever the tile: it
 * may rest in the accumulator array between two runs of rows, which loses no bits.
 *
 * <p>Blocking: a panel of up to 64 rows x 64 columns (16 KB) lies unpacked in L1 while the batch goes
 * by in tiles of 4 rows. A 4 x 4 tile holds 4 vectors of columns for 4 batch rows in 16 accumulators
 * and goes down the panel: 4 loads of w and 4 broadcasts of c for 16 multiply-adds.
 */
final class SumTiles {
  /** Rows of a panel. */
  static final int ROWS = 64;
  /** Columns of a panel: a whole number of tiles for any vector width. */
  static final int COLUMNS = 64;
  /** Columns of a tile. */
  static final int WIDTH = 4 * Lanes.COUNT;

  private static final int L = Lanes.COUNT;

  private SumTiles() {}

  /** Adds rows w, w + stride, … with coefficients c (a row of c a batch row) to y. */
  static void tile4x4(
      float[] w, int at, int stride, int rows, float[] c, int cAt, int cStride, float[] y, int to,
      int yStride) {
    int t1 = to + yStride, t2 = t1 + yStride, t3 = t2 + yStride;
    FloatVector a00 = Lanes.load(y, to), a01 = Lanes.load(y, to + L);
    FloatVector a02 = Lanes.load(y, to + 2 * L), a03 = Lanes.load(y, to + 3 * L);
    FloatVector a10 = Lanes.load(y, t1), a11 = Lanes.load(y, t1 + L);
    FloatVector a12 = Lanes.load(y, t1 + 2 * L), a13 = Lanes.load(y, t1 + 3 * L);
    FloatVector a20 = Lanes.load(y, t2), a21 = Lanes.load(y, t2 + L);
    FloatVector a22 = Lanes.load(y, t2 + 2 * L), a23 = Lanes.load(y, t2 + 3 * L);
    FloatVector a30 = Lanes.load(y, t3), a31 = Lanes.load(y, t3 + L);
    FloatVector a32 = Lanes.load(y, t3 + 2 * L), a33 = Lanes.load(y, t3 + 3 * L);
    int c1 = cAt + cStride, c2 = c1 + cStride, c3 = c2 + cStride;
    for (int i = 0, row = at; i < rows; i++, row += stride) {
      FloatVector w0 = Lanes.load(w, row);
      FloatVector w1 = Lanes.load(w, row + L);
      FloatVector w2 = Lanes.load(w, row + 2 * L);
      FloatVector w3 = Lanes.load(w, row + 3 * L);
      FloatVector b = Lanes.all(c[cAt + i]);
      a00 = w0.fma(b, a00);
      a01 = w1.fma(b, a01);
      a02 = w2.fma(b, a02);
      a03 = w3.fma(b, a03);
      b = Lanes.all(c[c1 + i]);
      a10 = w0.fma(b, a10);
      a11 = w1.fma(b, a11);
      a12 = w2.fma(b, a12);
      a13 = w3.fma(b, a13);
      b = Lanes.all(c[c2 + i]);
      a20 = w0.fma(b, a20);
      a21 = w1.fma(b, a21);
      a22 = w2.fma(b, a22);
      a23 = w3.fma(b, a23);
      b = Lanes.all(c[c3 + i]);
      a30 = w0.fma(b, a30);
      a31 = w1.fma(b, a31);
      a32 = w2.fma(b, a32);
      a33 = w3.fma(b, a33);
    }
    store4(a00, a01, a02, a03, y, to);
    store4(a10, a11, a12, a13, y, t1);
    store4(a20, a21, a22, a23, y, t2);
    store4(a30, a31, a32, a33, y, t3);
  }

  static void tile2x4(
      float[] w, int at, int stride, int rows, float[] c, int cAt, int cStride, float[] y, int to,
      int yStride) {
    int t1 = to + yStride;
    FloatVector a00 = Lanes.load(y, to), a01 = Lanes.load(y, to + L);
    FloatVector a02 = Lanes.load(y, to + 2 * L), a03 = Lanes.load(y, to + 3 * L);
    FloatVector a10 = Lanes.load(y, t1), a11 = Lanes.load(y, t1 + L);
    FloatVector a12 = Lanes.load(y, t1 + 2 * L), a13 = Lanes.load(y, t1 + 3 * L);
    int c1 = cAt + cStride;
    for (int i = 0, row = at; i < rows; i++, row += stride) {
      FloatVector w0 = Lanes.load(w, row);
      FloatVector w1 = Lanes.load(w, row + L);
      FloatVector w2 = Lanes.load(w, row + 2 * L);
      FloatVector w3 = Lanes.load(w, row + 3 * L);
      FloatVector b = Lanes.all(c[cAt + i]);
      a00 = w0.fma(b, a00);
      a01 = w1.fma(b, a01);
      a02 = w2.fma(b, a02);
      a03 = w3.fma(b, a03);
      b = Lanes.all(c[c1 + i]);
      a10 = w0.fma(b, a10);
      a11 = w1.fma(b, a11);
      a12 = w2.fma(b, a12);
      a13 = w3.fma(b, a13);
    }
    store4(a00, a01, a02, a03, y, to);
    store4(a10, a11, a12, a13, y, t1);
  }

  static void tile1x4(
      float[] w, int at, int stride, int rows, float[] c, int cAt, float[] y, int to) {
    FloatVector a0 = Lanes.load(y, to), a1 = Lanes.load(y, to + L);
    FloatVector a2 = Lanes.load(y, to + 2 * L), a3 = Lanes.load(y, to + 3 * L);
    for (int i = 0, row = at; i < rows; i++, row += stride) {
      FloatVector b = Lanes.all(c[cAt + i]);
      a0 = Lanes.load(w, row).fma(b, a0);
      a1 = Lanes.load(w, row + L).fma(b, a1);
      a2 = Lanes.load(w, row + 2 * L).fma(b, a2);
      a3 = Lanes.load(w, row + 3 * L).fma(b, a3);
    }
    store4(a0, a1, a2, a3, y, to);
  }

  private static void store4(
      FloatVector a, FloatVector b, FloatVector c, FloatVector d, float[] y, int to) {
    a.intoArray(y, to);
    b.intoArray(y, to + L);
    c.intoArray(y, to + 2 * L);
    d.intoArray(y, to + 3 * L);
  }
}
