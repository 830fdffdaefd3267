package io.rollcall.kernels;

import java.util.Arrays;

/**
 * How one row of weights lies in memory. Rows are zero-padded to whole blocks of {@link #BLOCK}
 * elements. Sixteen consecutive ints hold elements that unpack, by shifts alone, into sixteen
 * consecutive floats at a time, so that a vector of 4, 8 or 16 lanes finds them in natural order:
 *
 * <ul>
 *   <li>16-bit types, 32 elements in 16 ints: int j holds element j in its low half and element j +
 *       16 in its high half.
 *   <li>int8, 64 elements in 16 ints: byte q of int j, q = 0 the lowest, is element j + 16 q. Two
 *       scales belong to a block.
 * </ul>
 */
final class PackedRows {
  static final int BLOCK = 64;
  private static final int LANES = 16;

  private PackedRows() {}

  static int padded(int columns) {
    return Math.multiplyExact(Math.floorDiv(columns + BLOCK - 1, BLOCK), BLOCK);
  }

  /** @param source one row's elements in order, zero from the row's width on: a multiple of 32 */
  static void packHalves(short[] source, int[] packed, int at) {
    for (int block = 0; block < source.length; block += 2 * LANES, at += LANES) {
      for (int j = 0; j < LANES; j++) {
        packed[at + j] = (source[block + j] & 0xffff) | (source[block + LANES + j] << 16);
      }
    }
  }

  static short half(int[] packed, int at, int column) {
    int word = packed[at + column / 32 * LANES + column % LANES];
    return (short) (column % 32 < LANES ? word : word >> 16);
  }

  static int quantised(int[] packed, int at, int column) {
    int word = packed[at + column / BLOCK * LANES + column % LANES];
    return (byte) (word >> (column % BLOCK / LANES * 8));
  }

  /**
   * Quantises one row.
   *
   * @param row zero-padded, a multiple of 64
   * @param packed row.length / 4 ints from {@code at}
   * @param scales row.length / 32 floats from {@code scaleAt}
   */
  static void quantise(float[] row, int[] packed, int at, float[] scales, int scaleAt) {
    Arrays.fill(packed, at, at + row.length / 4, 0);
    for (int group = 0; group < row.length; group += WeightType.GROUP) {
      float largest = 0;
      for (int i = group; i < group + WeightType.GROUP; i++) {
        largest = Math.max(largest, Math.abs(row[i]));
      }
      float scale = Float16.toFloat(Float16.fromFloat(Math.min(largest / 127, 65504)));
      scales[scaleAt + group / WeightType.GROUP] = scale;
      if (scale == 0) {
        continue;
      }
      for (int i = group; i < group + WeightType.GROUP; i++) {
        int q = Math.max(-127, Math.min(127, Math.round(row[i] / scale)));
        packed[at + i / BLOCK * LANES + i % LANES] |= (q & 0xff) << (i % BLOCK / LANES * 8);
      }
    }
  }
}
