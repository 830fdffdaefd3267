package io.rollcall.kernels.cpu;

import java.util.Arrays;

/** One thread's buffers, which grow to the largest size asked for and are then reused. */
final class Scratch {
  static final class Buffer {
    private float[] floats = new float[0];

    /** At least {@code size} floats with whatever they held. */
    float[] atLeast(int size) {
      if (floats.length < size) {
        floats = new float[size];
      }
      return floats;
    }

    float[] zeros(int size) {
      float[] zeroed = atLeast(size);
      Arrays.fill(zeroed, 0, size, 0);
      return zeroed;
    }
  }

  /** Weights unpacked to f32. */
  final Buffer panel = new Buffer();
  /** Accumulators: one vector a dot product, or the sums of rows. */
  final Buffer sums = new Buffer();
  final Buffer queries = new Buffer();
  final Buffer scores = new Buffer();
  final Buffer row = new Buffer();
  private int[] rows = new int[0];

  int[] rows(int size) {
    if (rows.length < size) {
      rows = new int[size];
    }
    return rows;
  }
}
