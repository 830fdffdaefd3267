package io.rollcall.kernels.cpu;

import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WeightType;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/** Weights of any type to f32 in natural order, exactly as {@link WeightMatrix#get} gives them. */
final class Unpacking {
  /** Packed ints that belong together; see the layout in the module's README. */
  private static final int WORDS = 16;
  /** Elements that both arguments of an unpacking are multiples of. */
  private static final int BLOCK = 64;

  private Unpacking() {}

  /**
   * Unpacks {@code n} elements of a row, beginning at {@code column}; both are multiples of 64.
   *
   * @param out from {@code at}
   */
  static void unpack(WeightMatrix w, int row, int column, int n, float[] out, int at) {
    int word = row * w.wordsPerRow();
    switch (w.type()) {
      case F32:
        System.arraycopy(w.floats(), row * w.paddedColumns() + column, out, at, n);
        break;
      case BF16:
        bf16(w.packed(), word + column / 2, n / 2, out, at);
        break;
      case F16:
        f16(w.packed(), word + column / 2, n / 2, out, at);
        break;
      case INT8:
        int scale = row * w.scalesPerRow() + column / WeightType.GROUP;
        int8(w.packed(), word + column / 4, n / 4, w.floats(), scale, out, at);
        break;
      case INT4:
        for (int i = 0; i < n; i += BLOCK) {
          int from = word + (column + i) / (2 * BLOCK) * WORDS;
          int group = row * w.scalesPerRow() + (column + i) / WeightType.GROUP;
          int4(w.packed(), from, (column + i) / BLOCK % 2 * 16, w.floats(), group, out, at + i);
        }
        break;
      default:
        throw new IllegalArgumentException("no unpacking of " + w.type());
    }
  }

  private static void bf16(int[] packed, int from, int words, float[] out, int at) {
    for (int i = 0; i < words; i += WORDS) {
      for (int j = 0; j < WORDS; j += Lanes.COUNT) {
        IntVector pair = IntVector.fromArray(Lanes.INTS, packed, from + i + j);
        pair.lanewise(VectorOperators.LSHL, 16)
            .reinterpretAsFloats()
            .intoArray(out, at + 2 * i + j);
        pair.and(0xffff0000).reinterpretAsFloats().intoArray(out, at + 2 * i + WORDS + j);
      }
    }
  }

  private static void f16(int[] packed, int from, int words, float[] out, int at) {
    for (int i = 0; i < words; i += WORDS) {
      for (int j = 0; j < WORDS; j += Lanes.COUNT) {
        IntVector pair = IntVector.fromArray(Lanes.INTS, packed, from + i + j);
        halfToFloat(pair.and(0xffff)).intoArray(out, at + 2 * i + j);
        halfToFloat(pair.lanewise(VectorOperators.LSHR, 16))
            .intoArray(out, at + 2 * i + WORDS + j);
      }
    }
  }

  /** Without subnormal floats on the way: arithmetic with them is slow. */
  private static FloatVector halfToFloat(IntVector half) {
    IntVector magnitude = half.and(0x7fff);
    IntVector shifted = magnitude.lanewise(VectorOperators.LSHL, 13);
    IntVector normal = shifted.add(112 << 23);
    VectorMask<Integer> small = magnitude.compare(VectorOperators.LT, 0x400);
    VectorMask<Integer> infinite = magnitude.compare(VectorOperators.GE, 0x7c00);
    // 2^-14 + mantissa 2^-24, less 2^-14
    IntVector subnormal =
        shifted.add(113 << 23).reinterpretAsFloats().sub(0x1p-14f).reinterpretAsInts();
    return normal
        .blend(subnormal, small)
        .blend(shifted.or(0x7f800000), infinite)
        .or(half.and(0x8000).lanewise(VectorOperators.LSHL, 16))
        .reinterpretAsFloats();
  }

  private static void int8(
      int[] packed, int from, int words, float[] scales, int scale, float[] out, int at) {
    for (int i = 0; i < words; i += WORDS) {
      FloatVector low = Lanes.all(scales[scale + i / 8]);
      FloatVector high = Lanes.all(scales[scale + i / 8 + 1]);
      for (int j = 0; j < WORDS; j += Lanes.COUNT) {
        IntVector four = IntVector.fromArray(Lanes.INTS, packed, from + i + j);
        int to = at + 4 * i + j;
        signed(four.lanewise(VectorOperators.LSHL, 24)).mul(low).intoArray(out, to);
        signed(four.lanewise(VectorOperators.LSHL, 16)).mul(low).intoArray(out, to + WORDS);
        signed(four.lanewise(VectorOperators.LSHL, 8)).mul(high).intoArray(out, to + 2 * WORDS);
        signed(four).mul(high).intoArray(out, to + 3 * WORDS);
      }
    }
  }

  /** One block of 64 elements: the lower or, shifted by 16, the upper halves of 16 ints. */
  private static void int4(
      int[] packed, int from, int shift, float[] scales, int scale, float[] out, int at) {
    FloatVector low = Lanes.all(scales[scale]);
    FloatVector high = Lanes.all(scales[scale + 1]);
    for (int j = 0; j < WORDS; j += Lanes.COUNT) {
      IntVector four =
          IntVector.fromArray(Lanes.INTS, packed, from + j)
              .lanewise(VectorOperators.LSHL, 16 - shift);
      int to = at + j;
      nibble(four.lanewise(VectorOperators.LSHL, 12)).mul(low).intoArray(out, to);
      nibble(four.lanewise(VectorOperators.LSHL, 8)).mul(low).intoArray(out, to + WORDS);
      nibble(four.lanewise(VectorOperators.LSHL, 4)).mul(high).intoArray(out, to + 2 * WORDS);
      nibble(four).mul(high).intoArray(out, to + 3 * WORDS);
    }
  }

  private static FloatVector nibble(IntVector inHighNibble) {
    return (FloatVector)
        inHighNibble.lanewise(VectorOperators.ASHR, 28).convert(VectorOperators.I2F, 0);
  }

  private static FloatVector signed(IntVector inHighByte) {
    return (FloatVector)
        inHighByte.lanewise(VectorOperators.ASHR, 24).convert(VectorOperators.I2F, 0);
  }
}
