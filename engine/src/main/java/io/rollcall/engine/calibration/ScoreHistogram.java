package io.rollcall.engine.calibration;

/**
 * Counts of floats in bins of 1/64 of an octave: the upper bits of their encoding, turned into an
 * integer that orders as they do.
 */
public final class ScoreHistogram {
  private static final int DROPPED_BITS = 17;
  private static final int ZERO = 1 << (31 - DROPPED_BITS);

  private final long[] bins = new long[2 * ZERO];
  private long total;

  public void add(float[] values, int count) {
    for (int i = 0; i < count; i++) {
      bins[(ordered(values[i]) >> DROPPED_BITS) + ZERO]++;
    }
    total += count;
  }

  private static int ordered(float value) {
    int bits = Float.floatToRawIntBits(value);
    return bits ^ (bits >> 31 & Integer.MAX_VALUE);
  }

  /** The value below which a fraction q of them lies, the values of a bin taken to be spread evenly. */
  public float quantile(double q) {
    double below = q * total;
    int bin = 0;
    while (bin < bins.length - 1 && below > bins[bin]) {
      below -= bins[bin++];
    }
    double within = bins[bin] == 0 ? 0 : Math.min(1, below / bins[bin]);
    int width = (1 << DROPPED_BITS) - 1;
    int found = ((bin - ZERO) << DROPPED_BITS) + (int) (within * width);
    return Float.intBitsToFloat(found ^ (found >> 31 & Integer.MAX_VALUE));
  }

  /** Fraction of the values above a threshold, the threshold's own bin shared out evenly; NaN of none. */
  double above(float threshold) {
    int bits = ordered(threshold);
    int bin = (bits >> DROPPED_BITS) + ZERO;
    double within = (bits & ((1 << DROPPED_BITS) - 1)) / (double) (1 << DROPPED_BITS);
    double count = bins[bin] * (1 - within);
    for (int i = bin + 1; i < bins.length; i++) {
      count += bins[i];
    }
    return count / total;
  }
}
