package io.rollcall.engine.calibration;

/** Counts of non-negative floats in bins of 1/64 of an octave: the upper bits of their encoding. */
final class ScoreHistogram {
  private static final int DROPPED_BITS = 17;

  private final long[] bins = new long[1 << (31 - DROPPED_BITS)];
  private long total;

  void add(float[] values, int count) {
    for (int i = 0; i < count; i++) {
      bins[Float.floatToRawIntBits(values[i]) >>> DROPPED_BITS]++;
    }
    total += count;
  }

  /** Fraction of the values above a threshold, the threshold's own bin shared out evenly; NaN of none. */
  double above(float threshold) {
    int bits = Float.floatToRawIntBits(threshold);
    int bin = bits >>> DROPPED_BITS;
    double within = (bits & ((1 << DROPPED_BITS) - 1)) / (double) (1 << DROPPED_BITS);
    double count = bins[bin] * (1 - within);
    for (int i = bin + 1; i < bins.length; i++) {
      count += bins[i];
    }
    return count / total;
  }
}
