package io.rollcall.engine.training;

/**
 * How far a score is above the oracle's threshold, in one byte: the ratio of the two in sixteenths of
 * an octave, from 2^-8 to 2^8. A neuron is called where the byte is not negative.
 */
final class ScoreRatio {
  private static final int DROPPED_BITS = 19;
  private static final int ONE = 127 << (23 - DROPPED_BITS);

  private ScoreRatio() {}

  /** @param ratio not negative */
  static byte encode(float ratio) {
    int code = (Float.floatToRawIntBits(ratio) >>> DROPPED_BITS) - ONE;
    return (byte) Math.max(Byte.MIN_VALUE, Math.min(Byte.MAX_VALUE, code));
  }

  /** The middle of what the byte stands for. */
  static float decode(int code) {
    return Float.intBitsToFloat((code + ONE << DROPPED_BITS) | 1 << (DROPPED_BITS - 1));
  }

  /** A function of the ratio by code, [code - Byte.MIN_VALUE]. */
  static float[] table(FloatFunction function) {
    float[] table = new float[256];
    for (int i = 0; i < table.length; i++) {
      table[i] = function.apply(decode(i + Byte.MIN_VALUE));
    }
    return table;
  }

  interface FloatFunction {
    float apply(float ratio);
  }
}
