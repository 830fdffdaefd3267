package io.rollcall.kernels;

/** IEEE 754 half precision by bit arithmetic; the JDK's own conversions begin with JDK 20. */
public final class Float16 {
  private static final int EXPONENT_SHIFT = 112 << 23; // difference of the two biases, 127 - 15
  private static final int SMALLEST_NORMAL = 0x38800000; // 2^-14 as f32
  private static final int ROUNDS_TO_INFINITY = 0x477ff000; // 65520 as f32

  private Float16() {}

  /** The value of the half in the low 16 bits; exact. */
  public static float toFloat(int half) {
    int sign = (half & 0x8000) << 16;
    int magnitude = half & 0x7fff;
    int bits;
    if (magnitude < 0x400) {
      bits = Float.floatToRawIntBits(magnitude * 0x1p-24f);
    } else if (magnitude < 0x7c00) {
      bits = (magnitude << 13) + EXPONENT_SHIFT;
    } else {
      bits = (magnitude << 13) | 0x7f800000;
    }
    return Float.intBitsToFloat(bits | sign);
  }

  /** The nearest half, ties to even, in the low 16 bits; a NaN stays one. */
  public static int fromFloat(float value) {
    int sign = (Float.floatToRawIntBits(value) >>> 16) & 0x8000;
    int magnitude = Float.floatToRawIntBits(value) & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      return sign | 0x7e00 | ((magnitude >> 13) & 0x1ff);
    }
    if (magnitude >= ROUNDS_TO_INFINITY) {
      return sign | 0x7c00;
    }
    if (magnitude < SMALLEST_NORMAL) {
      return sign | (int) Math.rint(Math.abs(value) * 0x1p24);
    }
    int bits = magnitude - EXPONENT_SHIFT;
    return sign | ((bits + 0xfff + ((bits >> 13) & 1)) >> 13);
  }
}
