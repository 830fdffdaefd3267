package io.rollcall.engine.calibration;

import io.rollcall.engine.runner.DecodeSequence;
import java.io.Serializable;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * How far documents' densities are apart at any threshold, asked only when thresholds are known. A
 * document's scores are counted in bins of an eighth of an octave from 2^-24 to 2^8 on either side of
 * 0. When it ends, its density above each bin's lower edge goes into sums of first and second powers,
 * which are all that is kept.
 */
final class DocumentSpread implements Serializable {
  private static final int DROPPED_BITS = 20;
  private static final int FIRST_BIN = (127 - 24) << (23 - DROPPED_BITS);
  /** On a side of 0. */
  private static final int SIDE = 32 << (23 - DROPPED_BITS);
  private static final int BINS = 2 * SIDE;

  private final int layers;
  private final int width;
  private final double[][] sums;
  private final double[][] squares;
  private long ended;
  private final transient Map<Long, int[][]> running = new LinkedHashMap<>();
  private transient List<int[][]> rows = List.of();

  /** @param width f */
  DocumentSpread(int layers, int width) {
    this.layers = layers;
    this.width = width;
    sums = new double[layers][BINS];
    squares = new double[layers][BINS];
  }

  /**
   * The rows that follow are of these sequences; one document has one stream of random numbers. Those
   * that are not among them any more have ended.
   */
  void begin(List<DecodeSequence> sequences) {
    Set<Long> keys =
        sequences.stream().map(s -> s.random().key()).collect(Collectors.toSet());
    end(keys);
    rows =
        sequences.stream()
            .map(s -> running.computeIfAbsent(s.random().key(), key -> new int[layers][BINS + 1]))
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

  /** This, all documents taken to have ended. */
  DocumentSpread ended() {
    end(Set.of());
    return this;
  }

  /** Of the ended documents of several. */
  static DocumentSpread merged(List<DocumentSpread> parts) {
    DocumentSpread all = new DocumentSpread(parts.get(0).layers, parts.get(0).width);
    for (DocumentSpread part : parts) {
      all.ended += part.ended;
      for (int layer = 0; layer < all.layers; layer++) {
        for (int bin = 0; bin < BINS; bin++) {
          all.sums[layer][bin] += part.sums[layer][bin];
          all.squares[layer][bin] += part.squares[layer][bin];
        }
      }
    }
    return all;
  }

  /** Sums up the documents that are running no more. */
  private void end(Set<Long> still) {
    running
        .entrySet()
        .removeIf(
            entry -> {
              boolean over = !still.contains(entry.getKey());
              if (over) {
                sum(entry.getValue());
              }
              return over;
            });
  }

  private void sum(int[][] document) {
    ended++;
    for (int layer = 0; layer < layers; layer++) {
      int[] bins = document[layer];
      long above = 0;
      for (int bin = BINS - 1; bin >= 0; bin--) {
        above += bins[bin];
        double density = (double) above / bins[BINS];
        sums[layer][bin] += density;
        squares[layer][bin] += density * density;
      }
    }
  }

  private static int bin(float score) {
    int bin = (Float.floatToRawIntBits(Math.abs(score)) >>> DROPPED_BITS) - FIRST_BIN;
    int bounded = Math.min(SIDE - 1, Math.max(0, bin));
    return score < 0 ? SIDE - 1 - bounded : SIDE + bounded;
  }

  /** Standard deviation between documents, [bucket][layer]; null of fewer than two. */
  double[][] spread(float[][] thresholds) {
    if (ended < 2) {
      return null;
    }
    double[][] spread = new double[thresholds.length][layers];
    for (int bucket = 0; bucket < thresholds.length; bucket++) {
      for (int layer = 0; layer < layers; layer++) {
        spread[bucket][layer] = spread(layer, thresholds[bucket][layer]);
      }
    }
    return spread;
  }

  /** Between the deviations at the edges of the threshold's bin. */
  private double spread(int layer, float threshold) {
    int bits = Float.floatToRawIntBits(threshold);
    double within = (bits & ((1 << DROPPED_BITS) - 1)) / (double) (1 << DROPPED_BITS);
    double upper = threshold < 0 ? 1 - within : within;
    int bin = bin(threshold);
    return (1 - upper) * deviation(layer, bin)
        + upper * (bin + 1 < BINS ? deviation(layer, bin + 1) : 0);
  }

  private double deviation(int layer, int bin) {
    double mean = sums[layer][bin] / ended;
    return Math.sqrt(Math.max(0, squares[layer][bin] / ended - mean * mean) * ended / (ended - 1));
  }
}
