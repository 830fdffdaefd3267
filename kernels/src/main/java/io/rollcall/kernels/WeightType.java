package io.rollcall.kernels;

/** How a weight is stored. The CPU computes in f32, a device multiplies f16 and adds up in f32. */
public enum WeightType {
  F32(32),
  F16(16),
  BF16(16),
  /** Symmetric 8-bit integers in groups of {@link #GROUP} along a row, one f16 scale a group. */
  INT8(8),
  /** Symmetric 4-bit integers, likewise. */
  INT4(4);

  /** Elements that share a scale in a quantised row. */
  public static final int GROUP = 32;

  private final int bits;

  WeightType(int bits) {
    this.bits = bits;
  }

  /** Bits of an element. */
  public int bits() {
    return bits;
  }

  public boolean quantised() {
    return this == INT8 || this == INT4;
  }

  /**
   * Bytes that {@code elements} weights take at this precision: elements x bits / 8, plus 2 bytes
   * for each group of 32 where quantised. Padding that a provider adds is not counted.
   */
  public long bytes(long elements) {
    long packed = (elements * bits + 7) / 8;
    return quantised() ? packed + 2 * ((elements + GROUP - 1) / GROUP) : packed;
  }
}
