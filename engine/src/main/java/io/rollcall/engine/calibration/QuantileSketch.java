package io.rollcall.engine.calibration;

import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.lang.reflect.Field;
import java.util.Random;
import java.util.SplittableRandom;
import org.apache.datasketches.kll.KllFloatsSketch;
import org.apache.datasketches.kll.KllSketch;
import org.apache.datasketches.memory.Memory;
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
 */
final class QuantileSketch implements Serializable {
  private static final Logger LOG = LoggerFactory.getLogger(QuantileSketch.class);
  private static final int K = 4096;
  private static final Random COINS = coins();

  private final long seed;
  private transient KllFloatsSketch sketch = KllFloatsSketch.newHeapInstance(K);

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

  /**
   * How far the rank of a quantile may be from the one asked for, with 99 % confidence, as a fraction of
   * all values.
   */
  static double rankError() {
    return KllSketch.getNormalizedRankError(K, false);
  }

  /** Takes the first {@code count} values. */
  void add(float[] values, int count) {
    synchronized (COINS) {
      COINS.setSeed(new SplittableRandom(seed + sketch.getN()).nextLong());
      sketch.update(values, 0, count);
    }
  }

  void merge(QuantileSketch other) {
    synchronized (COINS) {
      COINS.setSeed(new SplittableRandom(seed + sketch.getN()).nextLong());
      sketch.merge(other.sketch);
    }
  }

  /** The least value that a fraction q of them does not exceed. */
  float quantile(double q) {
    return sketch.getQuantile(q, QuantileSearchCriteria.INCLUSIVE);
  }

  /** Fraction of the values above a threshold; NaN of none. */
  double above(float threshold) {
    return sketch.isEmpty()
        ? Double.NaN
        : 1 - sketch.getRank(threshold, QuantileSearchCriteria.INCLUSIVE);
  }

  private void writeObject(ObjectOutputStream out) throws IOException {
    out.defaultWriteObject();
    byte[] bytes = sketch.toByteArray();
    out.writeInt(bytes.length);
    out.write(bytes);
  }

  private void readObject(ObjectInputStream in) throws IOException, ClassNotFoundException {
    in.defaultReadObject();
    byte[] bytes = new byte[in.readInt()];
    in.readFully(bytes);
    sketch = KllFloatsSketch.heapify(Memory.wrap(bytes));
  }
}
