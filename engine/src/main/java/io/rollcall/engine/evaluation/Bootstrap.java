package io.rollcall.engine.evaluation;

import java.io.Serializable;
import java.util.Arrays;
import java.util.Random;
import java.util.function.ToDoubleFunction;

/**
 * Confidence intervals by the percentile bootstrap (Efron, 1979): documents are drawn with replacement,
 * since the tokens of one document are not independent. Draws depend on the seed and the number of
 * documents alone, so that configurations are compared on the same ones.
 */
public final class Bootstrap {
  private static final int RESAMPLES = 1000;
  private static final double TAIL = 0.025;

  private final int documents;
  private final long seed;

  /** 95 of 100 such intervals hold the value. */
  public record Interval(double low, double high) implements Serializable {}

  public Bootstrap(int documents, long seed) {
    this.documents = documents;
    this.seed = seed;
  }

  /** @param statistic of a sample, given how often each document is in it, [documents] */
  public Interval interval(ToDoubleFunction<int[]> statistic) {
    Random random = new Random(seed);
    double[] values = new double[RESAMPLES];
    int[] times = new int[documents];
    for (int i = 0; i < RESAMPLES; i++) {
      Arrays.fill(times, 0);
      for (int draw = 0; draw < documents; draw++) {
        times[random.nextInt(documents)]++;
      }
      values[i] = statistic.applyAsDouble(times);
    }
    Arrays.sort(values);
    return new Interval(
        values[(int) Math.floor(TAIL * (RESAMPLES - 1))],
        values[(int) Math.ceil((1 - TAIL) * (RESAMPLES - 1))]);
  }
}
