package io.rollcall.engine.calibration;

import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.ScoreObserver;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Quantiles;
import io.rollcall.engine.sparsity.UnionStrategy;
import java.util.Arrays;
import java.util.List;

/**
 * Gathers, over decode positions, the quantiles that thresholds are means of.
 *
 * <p>Under {@code own} a sequence drops what it does not call itself, so the wanted sparsity is a
 * quantile of one sequence's scores, and one threshold a layer serves every batch. Under {@code shared}
 * and {@code budget} a sequence drops what nobody calls: the wanted sparsity is a quantile of the
 * largest score among the batch, taken over groups as large as the bucket, and thresholds rise with the
 * batch. For one sequence the two are the same.
 *
 * <p>Magnitudes are compared without their sign. A predictor's logits are compared with it, and how far
 * up they lie differs much from position to position, since a whole position may be easy or hard to
 * predict: there a threshold is the quantile of all positions' logits together, which has the wanted
 * density where the mean of the positions' quantiles overshoots.
 */
public final class ScoreCollector implements ScoreObserver {
  private final boolean signed;
  private final double[] sparsity;
  private final int width;
  private final int[] groupSizes;
  private final double[][] quantileSums;
  private final long[][] groups;
  private final ScoreHistogram[] own;
  private final ScoreHistogram[][] union;
  private final DocumentDensities documents;
  private final float[] largest;
  private final float[] sorted;
  private long positions;

  /** Of magnitudes. */
  public ScoreCollector(
      UnionStrategy strategy, double[] sparsity, int batchSize, int layers, int width) {
    this(strategy, sparsity, batchSize, layers, width, false);
  }

  /**
   * @param sparsity wanted by bucket; the last serves every larger one
   * @param batchSize buckets up to it are filled
   * @param width f
   * @param signed whether the scores are logits
   */
  public ScoreCollector(
      UnionStrategy strategy,
      double[] sparsity,
      int batchSize,
      int layers,
      int width,
      boolean signed) {
    this.signed = signed;
    this.width = width;
    int buckets = strategy instanceof UnionStrategy.Own ? 1 : BatchBuckets.count(batchSize);
    this.sparsity = new double[buckets];
    Arrays.setAll(this.sparsity, k -> sparsity[Math.min(k, sparsity.length - 1)]);
    groupSizes = new int[buckets];
    Arrays.setAll(groupSizes, k -> Math.min(BatchBuckets.largest(k), batchSize));
    quantileSums = new double[buckets][layers];
    groups = new long[buckets][layers];
    own = new ScoreHistogram[layers];
    union = new ScoreHistogram[buckets][layers];
    Arrays.setAll(own, layer -> new ScoreHistogram());
    for (ScoreHistogram[] bucket : union) {
      Arrays.setAll(bucket, layer -> new ScoreHistogram());
    }
    documents = new DocumentDensities(layers, width);
    largest = new float[width];
    sorted = new float[width];
  }

  @Override
  public void begin(List<DecodeSequence> sequences) {
    documents.begin(sequences);
  }

  @Override
  public void observe(int layer, int bucket, float[] scores, int batch, float[] scale) {
    if (layer == 0) {
      positions += batch;
    }
    for (int k = 0; k < groupSizes.length && groupSizes[k] <= batch; k++) {
      int size = groupSizes[k];
      for (int first = 0; first + size <= batch; first += size) {
        fillLargest(scores, first, size, scale);
        union[k][layer].add(largest, width);
        if (size == 1) {
          own[layer].add(largest, width);
          documents.add(layer, first, largest);
        }
        if (!signed) {
          System.arraycopy(largest, 0, sorted, 0, width);
          quantileSums[k][layer] += Quantiles.quantile(sorted, width, sparsity[k]);
        }
        groups[k][layer]++;
      }
    }
  }

  private void fillLargest(float[] scores, int first, int size, float[] scale) {
    Arrays.fill(largest, signed ? Float.NEGATIVE_INFINITY : 0);
    for (int b = first; b < first + size; b++) {
      int row = b * width;
      for (int i = 0; i < width; i++) {
        float score = signed ? scores[row + i] : Math.abs(scores[row + i]);
        largest[i] = Math.max(largest[i], score);
      }
    }
    if (scale != null) {
      for (int i = 0; i < width; i++) {
        largest[i] *= scale[i];
      }
    }
  }

  /** Sparsity wanted, [bucket]. */
  public double[] sparsity() {
    return sparsity.clone();
  }

  /** Decode positions seen. */
  public long positions() {
    return positions;
  }

  /**
   * Thresholds, [bucket][layer]. A bucket whose batch size never ran takes the one below's, which
   * is lower and so keeps more.
   */
  public float[][] thresholds() {
    float[][] thresholds = new float[groupSizes.length][quantileSums[0].length];
    for (int k = 0; k < thresholds.length; k++) {
      for (int layer = 0; layer < thresholds[k].length; layer++) {
        thresholds[k][layer] =
            groups[k][layer] > 0 || k == 0 ? threshold(k, layer) : thresholds[k - 1][layer];
      }
    }
    return thresholds;
  }

  private float threshold(int bucket, int layer) {
    return signed
        ? union[bucket][layer].quantile(sparsity[bucket])
        : (float) (quantileSums[bucket][layer] / Math.max(1, groups[bucket][layer]));
  }

  /** Fraction of neurons that one sequence calls at these thresholds, [bucket][layer]. */
  public double[][] ownDensity(float[][] thresholds) {
    return densities(thresholds, (k, layer) -> own[layer]);
  }

  /** Fraction of neurons in the union of a full bucket at these thresholds, [bucket][layer]. */
  public double[][] unionDensity(float[][] thresholds) {
    return densities(thresholds, (k, layer) -> union[k][layer]);
  }

  /**
   * How far apart prompts are: the standard deviation of their own densities at these thresholds,
   * [bucket][layer]; null of fewer than two.
   */
  public double[][] ownSpread(float[][] thresholds) {
    return documents.spread(thresholds);
  }

  private interface HistogramOf {
    ScoreHistogram get(int bucket, int layer);
  }

  private static double[][] densities(float[][] thresholds, HistogramOf histograms) {
    double[][] densities = new double[thresholds.length][thresholds[0].length];
    for (int k = 0; k < thresholds.length; k++) {
      for (int layer = 0; layer < thresholds[k].length; layer++) {
        densities[k][layer] = histograms.get(k, layer).above(thresholds[k][layer]);
      }
    }
    return densities;
  }
}
