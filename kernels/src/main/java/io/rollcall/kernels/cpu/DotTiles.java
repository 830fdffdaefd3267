package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

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
 * latency. Accumulators go to a scratch array by batch row, [b x 16 + r] vectors, for {@link
 * LaneSums}.
 *
 * <p>The tiles call nothing but the Vector API itself, which is always inlined. A helper that takes
 * or gives a vector may not be, where it is called once a tile, and its vectors go through the heap.
 */
final class DotTiles {
  /** Weight rows of a panel. */
  static final int PANEL = 16;
  /** Batch rows of the widest tile. */
  static final int BATCH = 4;

  private static final VectorSpecies<Float> S = Lanes.FLOATS;
  private static final int L = Lanes.COUNT;
  private static final int NEXT = PANEL * L;

  private DotTiles() {}

  /** Rows w, w + stride, … x batch rows x, x + xStride, …; k is a multiple of the lanes. */
  static void tile4x4(
      float[] w, int at, int stride, float[] x, int xAt, int xStride, int k, float[] sums, int to) {
    FloatVector a00 = FloatVector.zero(S), a01 = a00, a02 = a00, a03 = a00;
    FloatVector a10 = a00, a11 = a00, a12 = a00, a13 = a00;
    FloatVector a20 = a00, a21 = a00, a22 = a00, a23 = a00;
    FloatVector a30 = a00, a31 = a00, a32 = a00, a33 = a00;
    int w1 = at + stride, w2 = w1 + stride, w3 = w2 + stride;
    int x1 = xAt + xStride, x2 = x1 + xStride, x3 = x2 + xStride;
    for (int i = 0; i < k; i += L) {
      FloatVector b0 = FloatVector.fromArray(S, x, xAt + i);
      FloatVector b1 = FloatVector.fromArray(S, x, x1 + i);
      FloatVector b2 = FloatVector.fromArray(S, x, x2 + i);
      FloatVector b3 = FloatVector.fromArray(S, x, x3 + i);
      FloatVector row = FloatVector.fromArray(S, w, at + i);
      a00 = row.fma(b0, a00);
      a01 = row.fma(b1, a01);
      a02 = row.fma(b2, a02);
      a03 = row.fma(b3, a03);
      row = FloatVector.fromArray(S, w, w1 + i);
      a10 = row.fma(b0, a10);
      a11 = row.fma(b1, a11);
      a12 = row.fma(b2, a12);
      a13 = row.fma(b3, a13);
      row = FloatVector.fromArray(S, w, w2 + i);
      a20 = row.fma(b0, a20);
      a21 = row.fma(b1, a21);
      a22 = row.fma(b2, a22);
      a23 = row.fma(b3, a23);
      row = FloatVector.fromArray(S, w, w3 + i);
      a30 = row.fma(b0, a30);
      a31 = row.fma(b1, a31);
      a32 = row.fma(b2, a32);
      a33 = row.fma(b3, a33);
    }
    a00.intoArray(sums, to);
    a10.intoArray(sums, to + L);
    a20.intoArray(sums, to + 2 * L);
    a30.intoArray(sums, to + 3 * L);
    a01.intoArray(sums, to + NEXT);
    a11.intoArray(sums, to + NEXT + L);
    a21.intoArray(sums, to + NEXT + 2 * L);
    a31.intoArray(sums, to + NEXT + 3 * L);
    a02.intoArray(sums, to + 2 * NEXT);
    a12.intoArray(sums, to + 2 * NEXT + L);
    a22.intoArray(sums, to + 2 * NEXT + 2 * L);
    a32.intoArray(sums, to + 2 * NEXT + 3 * L);
    a03.intoArray(sums, to + 3 * NEXT);
    a13.intoArray(sums, to + 3 * NEXT + L);
    a23.intoArray(sums, to + 3 * NEXT + 2 * L);
    a33.intoArray(sums, to + 3 * NEXT + 3 * L);
  }

  static void tile4x2(
      float[] w, int at, int stride, float[] x, int xAt, int xStride, int k, float[] sums, int to) {
    FloatVector a00 = FloatVector.zero(S), a01 = a00, a10 = a00, a11 = a00;
    FloatVector a20 = a00, a21 = a00, a30 = a00, a31 = a00;
    int w1 = at + stride, w2 = w1 + stride, w3 = w2 + stride;
    int x1 = xAt + xStride;
    for (int i = 0; i < k; i += L) {
      FloatVector b0 = FloatVector.fromArray(S, x, xAt + i);
      FloatVector b1 = FloatVector.fromArray(S, x, x1 + i);
      FloatVector row = FloatVector.fromArray(S, w, at + i);
      a00 = row.fma(b0, a00);
      a01 = row.fma(b1, a01);
      row = FloatVector.fromArray(S, w, w1 + i);
      a10 = row.fma(b0, a10);
      a11 = row.fma(b1, a11);
      row = FloatVector.fromArray(S, w, w2 + i);
      a20 = row.fma(b0, a20);
      a21 = row.fma(b1, a21);
      row = FloatVector.fromArray(S, w, w3 + i);
      a30 = row.fma(b0, a30);
      a31 = row.fma(b1, a31);
    }
    a00.intoArray(sums, to);
    a10.intoArray(sums, to + L);
    a20.intoArray(sums, to + 2 * L);
    a30.intoArray(sums, to + 3 * L);
    a01.intoArray(sums, to + NEXT);
    a11.intoArray(sums, to + NEXT + L);
    a21.intoArray(sums, to + NEXT + 2 * L);
    a31.intoArray(sums, to + NEXT + 3 * L);
  }

  static void tile8x1(
      float[] w, int at, int stride, float[] x, int xAt, int k, float[] sums, int to) {
    FloatVector a0 = FloatVector.zero(S), a1 = a0, a2 = a0, a3 = a0, a4 = a0, a5 = a0, a6 = a0, a7 = a0;
    int w1 = at + stride, w2 = w1 + stride, w3 = w2 + stride;
    int w4 = w3 + stride, w5 = w4 + stride, w6 = w5 + stride, w7 = w6 + stride;
    for (int i = 0; i < k; i += L) {
      FloatVector b = FloatVector.fromArray(S, x, xAt + i);
      a0 = FloatVector.fromArray(S, w, at + i).fma(b, a0);
      a1 = FloatVector.fromArray(S, w, w1 + i).fma(b, a1);
      a2 = FloatVector.fromArray(S, w, w2 + i).fma(b, a2);
      a3 = FloatVector.fromArray(S, w, w3 + i).fma(b, a3);
      a4 = FloatVector.fromArray(S, w, w4 + i).fma(b, a4);
      a5 = FloatVector.fromArray(S, w, w5 + i).fma(b, a5);
      a6 = FloatVector.fromArray(S, w, w6 + i).fma(b, a6);
      a7 = FloatVector.fromArray(S, w, w7 + i).fma(b, a7);
    }
    a0.intoArray(sums, to);
    a1.intoArray(sums, to + L);
    a2.intoArray(sums, to + 2 * L);
    a3.intoArray(sums, to + 3 * L);
    a4.intoArray(sums, to + 4 * L);
    a5.intoArray(sums, to + 5 * L);
    a6.intoArray(sums, to + 6 * L);
    a7.intoArray(sums, to + 7 * L);
  }
}
