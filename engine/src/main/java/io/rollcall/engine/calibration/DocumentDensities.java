package io.rollcall.engine.calibration;

import io.rollcall.engine.runner.DecodeSequence;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What each document's scores say of any threshold: how far documents are apart is asked only when
 * thresholds are known. Scores are counted in bins of an eighth of an octave from 2^-24 to 2^8 on either
 * side of 0, four bytes each, so that a document takes two kilobytes a layer.
 */
final class DocumentDensities {
  private static final int DROPPED_BITS = 20;
  private static final int FIRST_BIN = (127 - 24) << (23 - DROPPED_BITS);
  /** On a side of 0. */
  private static final int SIDE = 32 << (23 - DROPPED_BITS);
  private static final int BINS = 2 * SIDE;

  private final int layers;
  private final int width;
  private final Map<Long, int[][]> documents = new LinkedHashMap<>();
  private List<int[][]> rows = List.of();

  /** @param width f */
  DocumentDensities(int layers, int width) {
    this.layers = layers;
    this.width = width;
  }

  /** The rows that follow are of these sequences; one document has one stream of random numbers. */
  void begin(List<DecodeSequence> sequences) {
    rows =
        sequences.stream()
            .map(s -> documents.computeIfAbsent(s.random().key(), key -> new int[layers][BINS + 1]))
            .toList();
  }

  /** @param scores [f] of a row */
  void add(int layer, int row, float[] scores) {
    if (row >= rows.size()) {
      return;
    }
    int[] bins = rows.get(row)[layer];
    for (int i = 0; i < width; i++) {
      bins[bin(scores[i])]++;
    }
    bins[BINS] += width;
  }

  private static int bin(float score) {
    int bin = (Float.floatToRawIntBits(Math.abs(score)) >>> DROPPED_BITS) - FIRST_BIN;
    int bounded = Math.min(SIDE - 1, Math.max(0, bin));
    return score < 0 ? SIDE - 1 - bounded : SIDE + bounded;
  }

  /** Standard deviation between documents, [bucket][layer]; null of fewer than two. */
  double[][] spread(float[][] thresholds) {
    if (documents.size() < 2) {
      return null;
    }
    double[][] spread = new double[thresholds.length][layers];
    for (int bucket = 0; bucket < thresholds.length; bucket++) {
      for (int layer = 0; layer < layers; layer++) {
        spread[bucket][layer] = spread(documents.values(), layer, thresholds[bucket][layer]);
      }
    }
    return spread;
  }

  private static double spread(Collection<int[][]> documents, int layer, float threshold) {
    double[] densities = documents.stream().mapToDouble(d -> above(d[layer], threshold)).toArray();
    double mean = Arrays.stream(densities).average().orElseThrow();
    double squares = Arrays.stream(densities).map(d -> (d - mean) * (d - mean)).sum();
    return Math.sqrt(squares / (densities.length - 1));
  }

  /** Fraction above a threshold, whose own bin is shared out evenly. */
  private static double above(int[] bins, float threshold) {
    int bits = Float.floatToRawIntBits(threshold);
    int bin = bin(threshold);
    double within = (bits & ((1 << DROPPED_BITS) - 1)) / (double) (1 << DROPPED_BITS);
    double count = bins[bin] * (threshold < 0 ? within : 1 - within);
    for (int i = bin + 1; i < BINS; i++) {
      count += bins[i];
    }
    return count / bins[BINS];
  }
}
