package io.rollcall.engine.calibration;

import java.io.Serializable;
import java.lang.reflect.Field;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.apache.datasketches.kll.KllFloatsSketch;
import org.apache.datasketches.kll.KllSketch;
import org.apache.datasketches.quantilescommon.QuantileSearchCriteria;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A mergeable sketch of the distribution of floats: KLL (Karnin, Lang and Liberty, FOCS 2016) of the
 * datasketches library, made repeatable.
 *
 * <p>KLL tosses coins, and the library tosses those of a whole process with one generator that cannot be
 * given a seed. Here it gets one before each update, under its own lock, so that a sketch depends on its
 * seed and on what it was given, in order, alone.
 *
 * <p>The library cannot write a sketch on every Java that Spark runs on. What is sent and merged is
 * therefore a {@link Summary} of it.
 */
final class QuantileSketch {
  private static final Logger LOG = LoggerFactory.getLogger(QuantileSketch.class);
  private static final int K = 4096;
  private static final Random COINS = coins();

  private final long seed;
  private final KllFloatsSketch sketch = KllFloatsSketch.newHeapInstance(K);

  QuantileSketch(long seed) {
    this.seed = seed;
  }

  private static Random coins() {
    try {
      Field random = KllSketch.class.getDeclaredField("random");
      random.setAccessible(true);
      return (Random) random.get(null);
    } catch (ReflectiveOperationException | RuntimeException e) {
      LOG.warn("Thresholds will differ from run to run, within the sketches' error: {}", e.toString());
      return new Random();
    }
  }

  /** Takes the first {@code count} values. */
  void add(float[] values, int count) {
    synchronized (COINS) {
      COINS.setSeed(new SplittableRandom(seed + sketch.getN()).nextLong());
      sketch.update(values, 0, count);
    }
  }

  Summary summary() {
    if (sketch.isEmpty()) {
      return Summary.EMPTY;
    }
    double[] ranks = IntStream.range(0, Summary.SIZE).mapToDouble(Summary::rank).toArray();
    return new Summary(
        sketch.getN(), sketch.getQuantiles(ranks, QuantileSearchCriteria.INCLUSIVE));
  }

  /**
   * Quantiles at equally spaced ranks, each of which stands for as many values.
   *
   * @param count values seen
   * @param quantiles [SIZE] ascending; empty of none
   */
  record Summary(long count, float[] quantiles) implements Serializable {
    private static final int SIZE = 4096;
    static final Summary EMPTY = new Summary(0, new float[0]);

    /**
     * How far the rank of a quantile may be from the one asked for, with 99 % confidence, as a fraction
     * of all values: KLL's error, and half a step of the ranks for each summary on the way.
     *
     * @param merges that a summary went through
     */
    static double rankError(int merges) {
      return KllSketch.getNormalizedRankError(K, false) + (1 + merges) * 0.5 / SIZE;
    }

    /** Rank that the i-th quantile is of, in the middle of the values that it stands for. */
    private static double rank(int i) {
      return (i + 0.5) / SIZE;
    }

    /** Of all values of several; their order does not matter. */
    static Summary merged(List<Summary> parts) {
      List<Summary> seen = parts.stream().filter(part -> part.count > 0).toList();
      if (seen.size() < 2) {
        return seen.isEmpty() ? EMPTY : seen.get(0);
      }
      long[] order = new long[seen.size() * SIZE];
      Arrays.setAll(order, i -> (long) ordered(seen.get(i / SIZE).quantiles[i % SIZE]) << 32 | i);
      Arrays.sort(order);
      long count = seen.stream().mapToLong(Summary::count).sum();
      float[] quantiles = new float[SIZE];
      double below = 0;
      int next = 0;
      for (long key : order) {
        Summary part = seen.get((int) key / SIZE);
        float value = part.quantiles[(int) key % SIZE];
        below += (double) part.count / SIZE;
        while (next < SIZE && rank(next) * count <= below) {
          quantiles[next++] = value;
        }
      }
      return new Summary(count, quantiles);
    }

    /** An integer that orders as the floats do. */
    private static int ordered(float value) {
      int bits = Float.floatToRawIntBits(value);
      return bits ^ (bits >> 31 & Integer.MAX_VALUE);
    }

    /** The value that a fraction q of them does not exceed. */
    float quantile(double q) {
      return quantiles[Math.min(SIZE - 1, (int) (q * SIZE))];
    }

    /** Fraction of the values above a threshold; NaN of none. */
    double above(float threshold) {
      if (count == 0) {
        return Double.NaN;
      }
      int low = 0;
      int high = SIZE;
      while (low < high) {
        int middle = (low + high) >>> 1;
        if (quantiles[middle] > threshold) {
          high = middle;
        } else {
          low = middle + 1;
        }
      }
      return 1 - (double) low / SIZE;
    }
  }
}
