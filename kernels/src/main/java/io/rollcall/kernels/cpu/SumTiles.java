package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * The hot loops of y = sum_i c_i w_i over f32 rows.
 *
 * <p>A column of a sum is one chain of fused multiply-adds over ascending rows, whatever the tile: it
 * may rest in the accumulator array between two runs of rows, which loses no bits.
 *
 * <p>Blocking: a panel of up to 64 rows x 64 columns (16 KB) lies unpacked in L1 while the batch goes
 * by in tiles of 4 rows. A 4 x 4 tile holds 4 vectors of columns for 4 batch rows in 16 accumulators
 * and goes down the panel: 4 loads of w and 4 broadcasts of c for 16 multiply-adds.
 *
 * <p>The tiles call nothing but the Vector API itself, which is always inlined. A helper that takes
 * or gives a vector may not be, where it is called once a tile, and its vectors go through the heap.
 */
final class SumTiles {
  /** Rows of a panel. */
  static final int ROWS = 64;
  /** Columns of a panel: a whole number of tiles for any vector width. */
  static final int COLUMNS = 64;
  /** Columns of a tile. */
  static final int WIDTH = 4 * Lanes.COUNT;

  private static final VectorSpecies<Float> S = Lanes.FLOATS;
  private static final int L = Lanes.COUNT;

  private SumTiles() {}

  /** Adds rows w, w + stride, … with coefficients c (a row of c a batch row) to y. */
  static void tile4x4(
      float[] w, int at, int stride, int rows, float[] c, int cAt, int cStride, float[] y, int to,
      int yStride) {
    int t1 = to + yStride, t2 = t1 + yStride, t3 = t2 + yStride;
    FloatVector a00 = FloatVector.fromArray(S, y, to), a01 = FloatVector.fromArray(S, y, to + L);
    FloatVector a02 = FloatVector.fromArray(S, y, to + 2 * L), a03 = FloatVector.fromArray(S, y, to + 3 * L);
    FloatVector a10 = FloatVector.fromArray(S, y, t1), a11 = FloatVector.fromArray(S, y, t1 + L);
    FloatVector a12 = FloatVector.fromArray(S, y, t1 + 2 * L), a13 = FloatVector.fromArray(S, y, t1 + 3 * L);
    FloatVector a20 = FloatVector.fromArray(S, y, t2), a21 = FloatVector.fromArray(S, y, t2 + L);
    FloatVector a22 = FloatVector.fromArray(S, y, t2 + 2 * L), a23 = FloatVector.fromArray(S, y, t2 + 3 * L);
    FloatVector a30 = FloatVector.fromArray(S, y, t3), a31 = FloatVector.fromArray(S, y, t3 + L);
    FloatVector a32 = FloatVector.fromArray(S, y, t3 + 2 * L), a33 = FloatVector.fromArray(S, y, t3 + 3 * L);
    int c1 = cAt + cStride, c2 = c1 + cStride, c3 = c2 + cStride;
    for (int i = 0, row = at; i < rows; i++, row += stride) {
      FloatVector w0 = FloatVector.fromArray(S, w, row);
      FloatVector w1 = FloatVector.fromArray(S, w, row + L);
      FloatVector w2 = FloatVector.fromArray(S, w, row + 2 * L);
      FloatVector w3 = FloatVector.fromArray(S, w, row + 3 * L);
      FloatVector b = FloatVector.broadcast(S, c[cAt + i]);
      a00 = w0.fma(b, a00);
      a01 = w1.fma(b, a01);
      a02 = w2.fma(b, a02);
      a03 = w3.fma(b, a03);
      b = FloatVector.broadcast(S, c[c1 + i]);
      a10 = w0.fma(b, a10);
      a11 = w1.fma(b, a11);
      a12 = w2.fma(b, a12);
      a13 = w3.fma(b, a13);
      b = FloatVector.broadcast(S, c[c2 + i]);
      a20 = w0.fma(b, a20);
      a21 = w1.fma(b, a21);
      a22 = w2.fma(b, a22);
      a23 = w3.fma(b, a23);
      b = FloatVector.broadcast(S, c[c3 + i]);
      a30 = w0.fma(b, a30);
      a31 = w1.fma(b, a31);
      a32 = w2.fma(b, a32);
      a33 = w3.fma(b, a33);
    }
    a00.intoArray(y, to);
    a01.intoArray(y, to + L);
    a02.intoArray(y, to + 2 * L);
    a03.intoArray(y, to + 3 * L);
    a10.intoArray(y, t1);
    a11.intoArray(y, t1 + L);
    a12.intoArray(y, t1 + 2 * L);
    a13.intoArray(y, t1 + 3 * L);
    a20.intoArray(y, t2);
    a21.intoArray(y, t2 + L);
    a22.intoArray(y, t2 + 2 * L);
    a23.intoArray(y, t2 + 3 * L);
    a30.intoArray(y, t3);
    a31.intoArray(y, t3 + L);
    a32.intoArray(y, t3 + 2 * L);
    a33.intoArray(y, t3 + 3 * L);
  }

  static void tile2x4(
      float[] w, int at, int stride, int rows, float[] c, int cAt, int cStride, float[] y, int to,
      int yStride) {
    int t1 = to + yStride;
    FloatVector a00 = FloatVector.fromArray(S, y, to), a01 = FloatVector.fromArray(S, y, to + L);
    FloatVector a02 = FloatVector.fromArray(S, y, to + 2 * L), a03 = FloatVector.fromArray(S, y, to + 3 * L);
    FloatVector a10 = FloatVector.fromArray(S, y, t1), a11 = FloatVector.fromArray(S, y, t1 + L);
    FloatVector a12 = FloatVector.fromArray(S, y, t1 + 2 * L), a13 = FloatVector.fromArray(S, y, t1 + 3 * L);
    int c1 = cAt + cStride;
    for (int i = 0, row = at; i < rows; i++, row += stride) {
      FloatVector w0 = FloatVector.fromArray(S, w, row);
      FloatVector w1 = FloatVector.fromArray(S, w, row + L);
      FloatVector w2 = FloatVector.fromArray(S, w, row + 2 * L);
      FloatVector w3 = FloatVector.fromArray(S, w, row + 3 * L);
      FloatVector b = FloatVector.broadcast(S, c[cAt + i]);
      a00 = w0.fma(b, a00);
      a01 = w1.fma(b, a01);
      a02 = w2.fma(b, a02);
      a03 = w3.fma(b, a03);
      b = FloatVector.broadcast(S, c[c1 + i]);
      a10 = w0.fma(b, a10);
      a11 = w1.fma(b, a11);
      a12 = w2.fma(b, a12);
      a13 = w3.fma(b, a13);
    }
    a00.intoArray(y, to);
    a01.intoArray(y, to + L);
    a02.intoArray(y, to + 2 * L);
    a03.intoArray(y, to + 3 * L);
    a10.intoArray(y, t1);
    a11.intoArray(y, t1 + L);
    a12.intoArray(y, t1 + 2 * L);
    a13.intoArray(y, t1 + 3 * L);
  }

  static void tile1x4(
      float[] w, int at, int stride, int rows, float[] c, int cAt, float[] y, int to) {
    FloatVector a0 = FloatVector.fromArray(S, y, to), a1 = FloatVector.fromArray(S, y, to + L);
    FloatVector a2 = FloatVector.fromArray(S, y, to + 2 * L), a3 = FloatVector.fromArray(S, y, to + 3 * L);
    for (int i = 0, row = at; i < rows; i++, row += stride) {
      FloatVector b = FloatVector.broadcast(S, c[cAt + i]);
      a0 = FloatVector.fromArray(S, w, row).fma(b, a0);
      a1 = FloatVector.fromArray(S, w, row + L).fma(b, a1);
      a2 = FloatVector.fromArray(S, w, row + 2 * L).fma(b, a2);
      a3 = FloatVector.fromArray(S, w, row + 3 * L).fma(b, a3);
    }
    a0.intoArray(y, to);
    a1.intoArray(y, to + L);
    a2.intoArray(y, to + 2 * L);
    a3.intoArray(y, to + 3 * L);
  }
}
