package io.rollcall.engine.sparsity;

/** Rounds to bf16. */
public final class Bf16 {
  private Bf16() {}

  /** The nearest bf16's bits, ties to even. */
  public static short round(float value) {
    int raw = Float.floatToRawIntBits(value);
    return (short) ((raw + 0x7fff + (raw >>> 16 & 1)) >>> 16);
  }

  /** What the bits stand for. */
  public static float value(short bits) {
    return Float.intBitsToFloat(bits << 16);
  }

  /** All of them. */
  public static short[] round(float[] values) {
    short[] bits = new short[values.length];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = round(values[i]);
    }
    return bits;
  }

  /** What all of them stand for. */
  public static float[] values(short[] bits) {
    float[] values = new float[bits.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = value(bits[i]);
    }
    return values;
  }
}
