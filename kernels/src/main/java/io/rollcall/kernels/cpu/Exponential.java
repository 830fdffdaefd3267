package io.rollcall.kernels.cpu;

/**
 * exp in f32 from additions, multiplications and fused multiply-adds only, so that the scalar and
 * the vector form ({@link VectorExponential}) agree to the last bit: exp(x) = 2^n exp(r), n = round(x
 * / ln 2), abs(r) at most ln(2) / 2, exp(r) by its Taylor polynomial of degree 7.
 */
final class Exponential {
  /** Below, the result is 0; above the other, infinity. */
  static final float LOWEST = -105f;
  static final float HIGHEST = 89f;
  static final float LOG2_E = 1.442695040888963f;
  /** ln 2 in two parts, the first short enough that n * LN2_HIGH is exact. */
  static final float LN2_HIGH = 0x1.62ep-1f;
  static final float LN2_LOW = (float) (0.6931471805599453 - LN2_HIGH);
  /** Adding it rounds to an integer, which then lies in the low bits. */
  static final float ROUNDER = 0x1.8p23f;
  static final int ROUNDER_BITS = Float.floatToRawIntBits(ROUNDER);

  static final float C7 = 1f / 5040;
  static final float C6 = 1f / 720;
  static final float C5 = 1f / 120;
  static final float C4 = 1f / 24;
  static final float C3 = 1f / 6;
  static final float C2 = 1f / 2;

  private Exponential() {}

  static float exp(float value) {
    float x = Math.min(Math.max(value, LOWEST), HIGHEST);
    float shifted = Math.fma(x, LOG2_E, ROUNDER);
    float n = shifted - ROUNDER;
    float r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, x));
    float p = Math.fma(r, C7, C6);
    p = Math.fma(p, r, C5);
    p = Math.fma(p, r, C4);
    p = Math.fma(p, r, C3);
    p = Math.fma(p, r, C2);
    p = Math.fma(p, r, 1f);
    p = Math.fma(p, r, 1f);
    // 2^n in two factors, because n reaches beyond the exponents of normal numbers
    int exponent = Float.floatToRawIntBits(shifted) - ROUNDER_BITS;
    int half = exponent >> 1;
    return p * Float.intBitsToFloat((half + 127) << 23)
        * Float.intBitsToFloat((exponent - half + 127) << 23);
  }

  static float silu(float x) {
    return x / (exp(-x) + 1f);
  }

  static final float GELU_CUBIC = 0.044715f;
  static final float GELU_SCALE = 1.5957691216057308f; // 2 sqrt(2 / pi)

  /** 0.5 x (1 + tanh u) = x / (1 + exp(-2u)). */
  static float geluTanh(float x) {
    float u = Math.fma(x * x * GELU_CUBIC, x, x) * GELU_SCALE;
    return x / (exp(-u) + 1f);
  }
}
