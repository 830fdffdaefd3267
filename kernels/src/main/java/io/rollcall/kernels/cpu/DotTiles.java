package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;

/**
 * The hot loops of y = x W^T over f32 rows.
 *
 * <p>A dot product has one vector accumulator: lane l takes elements l, l + L, l + 2L, … in ascending
 * order by fused multiply-adds, and {@link LaneSums} then adds the lanes by one fixed tree. A tile
 * only decides how many such accumulators run side by side, so it never changes a bit of the result.
 *
 * <p>Blocking: up to 16 weight rows lie unpacked in a panel (16 x 384 floats are 24 KB, half of an
 * L1 cache) while the batch goes by in tiles of 4 rows. A 4 x 4 tile keeps 16 accumulators, 4 vectors
 * of x and 1 of w in registers: 8 loads for 16 multiply-adds, 21 of AVX-512's 32 registers. One batch
 * row alone takes 8 weight rows at a time, since fewer chains would wait for the multiply-add's
 * latency. Accumulators go to a scratch array by batch row, [b x 16 + r] vectors, so that the lanes of
 * L dot products are added together and come out as one vector of y.
 */
final class DotTiles {
  /** Weight rows of a panel. */
  static final int PANEL = 16;
  /** Batch rows of the widest tile. */
  static final int BATCH = 4;

  private static final int L = Lanes.COUNT;
  private static final int NEXT = PANEL * L;

  private DotTiles() {}

  /** Rows w, w + stride, … x batch rows x, x + xStride, …; k is a multiple of the lanes. */
  static void tile4x4(
      float[] w, int at, int stride, float[] x, int xAt, int xStride, int k, float[] sums, int to) {
    FloatVector a00 = Lanes.all(0), a01 = a00, a02 = a00, a03 = a00;
    FloatVector a10 = a00, a11 = a00, a12 = a00, a13 = a00;
    FloatVector a20 = a00, a21 = a00, a22 = a00, a23 = a00;
    FloatVector a30 = a00, a31 = a00, a32 = a00, a33 = a00;
    int w1 = at + stride, w2 = w1 + stride, w3 = w2 + stride;
    int x1 = xAt + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
    for (int i = 0; i < k; i += L) {
      FloatVector b0 = Lanes.load(x, xAt + i);
      FloatVector b1 = Lanes.load(x, x1 + i);
      FloatVector b2 = Lanes.load(x, x2 + i);
      FloatVector b3 = Lanes.load(x, x3 + i);
      FloatVector row = Lanes.load(w, at + i);
      a00 = row.fma(b0, a00);
      a01 = row.fma(b1, a01);
      a02 = row.fma(b2, a02);
      a03 = row.fma(b3, a03);
      row = Lanes.load(w, w1 + i);
      a10 = row.fma(b0, a10);
      a11 = row.fma(b1, a11);
      a12 = row.fma(b2, a12);
      a13 = row.fma(b3, a13);
      row = Lanes.load(w, w2 + i);
      a20 = row.fma(b0, a20);
      a21 = row.fma(b1, a21);
      a22 = row.fma(b2, a22);
      a23 = row.fma(b3, a23);
      row = Lanes.load(w, w3 + i);
      a30 = row.fma(b0, a30);
      a31 = row.fma(b1, a31);
      a32 = row.fma(b2, a32);
      a33 = row.fma(b3, a33);
    }
    store4(a00, a10, a20, a30, sums, to);
    store4(a01, a11, a21, a31, sums, to + NEXT);
    store4(a02, a12, a22, a32, sums, to + 2 * NEXT);
    store4(a03, a13, a23, a33, sums, to + 3 * NEXT);
  }

  static void tile4x2(
      float[] w, int at, int stride, float[] x, int xAt, int xStride, int k, float[] sums, int to) {
    FloatVector a00 = Lanes.all(0), a01 = a00, a10 = a00, a11 = a00;
    FloatVector a20 = a00, a21 = a00, a30 = a00, a31 = a00;
    int w1 = at + stride, w2 = w1 + stride, w3 = w2 + stride;
    int x1 = xAt + xStride;
    for (int i = 0; i < k; i += L) {
      FloatVector b0 = Lanes.load(x, xAt + i);
      FloatVector b1 = Lanes.load(x, x1 + i);
      FloatVector row = Lanes.load(w, at + i);
      a00 = row.fma(b0, a00);
      a01 = row.fma(b1, a01);
      row = Lanes.load(w, w1 + i);
      a10 = row.fma(b0, a10);
      a11 = row.fma(b1, a11);
      row = Lanes.load(w, w2 + i);
      a20 = row.fma(b0, a20);
      a21 = row.fma(b1, a21);
      row = Lanes.load(w, w3 + i);
      a30 = row.fma(b0, a30);
      a31 = row.fma(b1, a31);
    }
    store4(a00, a10, a20, a30, sums, to);
    store4(a01, a11, a21, a31, sums, to + NEXT);
  }

  static void tile8x1(
      float[] w, int at, int stride, float[] x, int xAt, int k, float[] sums, int to) {
    FloatVector a0 = Lanes.all(0), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
    int w1 = at + stride, w2 = w1 + stride, w3 = w2 + stride;
    int w4 = w3 + stride, w5 = w4 + stride, w6 = w5 + stride, w7 = w6 + stride;
    for (int i = 0; i < k; i += L) {
      FloatVector b = Lanes.load(x, xAt + i);
      a0 = Lanes.load(w, at + i).fma(b, a0);
      a1 = Lanes.load(w, w1 + i).fma(b, a1);
      a2 = Lanes.load(w, w2 + i).fma(b, a2);
      a3 = Lanes.load(w, w3 + i).fma(b, a3);
      a4 = Lanes.load(w, w4 + i).fma(b, a4);
      a5 = Lanes.load(w, w5 + i).fma(b, a5);
      a6 = Lanes.load(w, w6 + i).fma(b, a6);
      a7 = Lanes.load(w, w7 + i).fma(b, a7);
    }
    store4(a0, a1, a2, a3, sums, to);
    store4(a4, a5, a6, a7, sums, to + 4 * L);
  }

  private static void store4(
      FloatVector a, FloatVector b, FloatVector c, FloatVector d, float[] sums, int to) {
    a.intoArray(sums, to);
    b.intoArray(sums, to + L);
    c.intoArray(sums, to + 2 * L);
    d.intoArray(sums, to + 3 * L);
  }
}
