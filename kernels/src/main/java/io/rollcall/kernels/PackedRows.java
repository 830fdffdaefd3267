package io.rollcall.kernels;

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
 *   <li>int4, 128 elements in 16 ints: nibble q of int j, q = 0 the lowest, is element j + 16 q. A row
 *       of an odd number of blocks ends with half of them unused.
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

  /** Ints of a row of a type other than F32. */
  static int words(WeightType type, int paddedColumns) {
    int perWord = Integer.SIZE / type.bits();
    return (paddedColumns + LANES * perWord - 1) / (LANES * perWord) * LANES;
  }

  static int quantised(WeightType type, int[] packed, int at, int column) {
    int bits = type.bits();
    int word = packed[word(bits, at, column)];
    return word << (Integer.SIZE - bits - shift(bits, column)) >> (Integer.SIZE - bits);
  }

  private static int word(int bits, int at, int column) {
    return at + column / (LANES * Integer.SIZE / bits) * LANES + column % LANES;
  }

  private static int shift(int bits, int column) {
    return column / LANES * bits % Integer.SIZE;
  }

  /**
   * Quantises one row.
   *
   * @param type INT8 or INT4
   * @param row zero-padded, a multiple of 64
   * @param packed from {@code at} the row's words, which are zero
   * @param scales row.length / 32 floats from {@code scaleAt}
   */
  static void quantise(
      WeightType type, float[] row, int[] packed, int at, float[] scales, int scaleAt) {
    int bits = type.bits();
    int most = (1 << (bits - 1)) - 1;
    for (int group = 0; group < row.length; group += WeightType.GROUP) {
      float largest = 0;
      for (int i = group; i < group + WeightType.GROUP; i++) {
        largest = Math.max(largest, Math.abs(row[i]));
      }
      float scale = Float16.toFloat(Float16.fromFloat(Math.min(largest / most, 65504)));
      scales[scaleAt + group / WeightType.GROUP] = scale;
      if (scale == 0) {
        continue;
      }
      for (int i = group; i < group + WeightType.GROUP; i++) {
        int q = Math.max(-most, Math.min(most, (int) Math.rint(row[i] / scale)));
        packed[word(bits, at, i)] |= (q & (1 << bits) - 1) << shift(bits, i);
      }
    }
  }
}
