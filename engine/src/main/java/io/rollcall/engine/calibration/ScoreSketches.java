package io.rollcall.engine.calibration;

import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.ScoreObserver;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.UnionStrategy;
import java.io.Serializable;
import java.util.Arrays;
import java.util.List;

/**
 * The distributions of scores over decode positions that thresholds are quantiles of, one for each batch
 * bucket and layer. Those of two parts of a corpus can be {@link #merge}d.
 *
 * <p>Under {@code own} a sequence drops what it does not call itself, so the wanted sparsity is a
 * quantile of one sequence's scores, and one threshold a layer serves every batch. Under {@code shared}
 * and {@code budget} a sequence drops what nobody calls: the wanted sparsity is a quantile of the
 * largest score among the batch, taken over groups as large as the bucket, and thresholds rise with the
 * batch. For one sequence the two are the same. The scores of all positions are taken together, so that
 * the wanted sparsity is the mean over positions, however much these differ.
 *
 * <p>Magnitudes are compared without their sign, a predictor's logits with it.
 */
public final class ScoreSketches implements ScoreObserver, Serializable {
  /** Of a position's f scores that a sketch is given: more say little, since positions differ more. */
  private static final int TAKEN = 256;

  private final boolean signed;
  private final int width;
  private final int stride;
  private final int[] groupSizes;
  private final long[][] groups;
  private final QuantileSketch[][] sketches;
  private final DocumentSpread documents;
  private final float[] largest;
  private final float[] taken;
  private long positions;

  /** Of magnitudes. */
  public ScoreSketches(UnionStrategy strategy, int batchSize, int layers, int width) {
    this(strategy, batchSize, layers, width, false, 0);
  }

  /**
   * @param batchSize buckets up to it are filled
   * @param width f
   * @param signed whether the scores are logits
   * @param seed of the sketches
   */
  public ScoreSketches(
      UnionStrategy strategy, int batchSize, int layers, int width, boolean signed, long seed) {
    this.signed = signed;
    this.width = width;
    stride = Math.max(1, width / TAKEN);
    int buckets = strategy instanceof UnionStrategy.Own ? 1 : BatchBuckets.count(batchSize);
    groupSizes = new int[buckets];
    Arrays.setAll(groupSizes, k -> Math.min(BatchBuckets.largest(k), batchSize));
    groups = new long[buckets][layers];
    sketches = new QuantileSketch[buckets][layers];
    for (QuantileSketch[] bucket : sketches) {
      Arrays.setAll(bucket, layer -> new QuantileSketch(seed));
    }
    documents = new DocumentSpread(layers, width);
    largest = new float[width];
    taken = new float[(width + stride - 1) / stride];
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
        if (size == 1) {
          documents.add(layer, first, largest);
        }
        // other neurons each time
        int count = 0;
        for (int i = (int) (groups[k][layer]++ % stride); i < width; i += stride) {
          taken[count++] = largest[i];
        }
        sketches[k][layer].add(taken, count);
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

  /** Takes in what another of the same kind saw. */
  public void merge(ScoreSketches other) {
    positions += other.positions;
    for (int k = 0; k < groups.length; k++) {
      for (int layer = 0; layer < sketches[k].length; layer++) {
        groups[k][layer] += other.groups[k][layer];
        sketches[k][layer].merge(other.sketches[k][layer]);
      }
    }
    documents.merge(other.documents);
  }

  /** Decode positions seen. */
  public long positions() {
    return positions;
  }

  /** Batch buckets with thresholds of their own. */
  public int buckets() {
    return groups.length;
  }

  /** Groups of a bucket's batch size that were seen. */
  public long groups(int bucket) {
    return groups[bucket][0];
  }

  /** How far densities may be from the wanted ones at these positions, with 99 % confidence. */
  public static double rankError() {
    return QuantileSketch.rankError();
  }

  /**
   * Thresholds, [bucket][layer].
   *
   * @param sparsity wanted by bucket; the last serves every larger one
   */
  public float[][] thresholds(double[] sparsity) {
    float[][] thresholds = new float[sketches.length][sketches[0].length];
    for (int k = 0; k < thresholds.length; k++) {
      for (int layer = 0; layer < thresholds[k].length; layer++) {
        thresholds[k][layer] =
            threshold(k, layer, sparsity[Math.min(k, sparsity.length - 1)]);
      }
    }
    return thresholds;
  }

  /**
   * The threshold with the wanted sparsity; at 0 one that everything is above. A bucket whose batch size
   * never ran takes the one below's, which is lower and so keeps more.
   *
   * @throws IllegalStateException when no position was seen
   */
  public float threshold(int bucket, int layer, double sparsity) {
    if (positions == 0) {
      throw new IllegalStateException("no decode position was seen");
    }
    int seen = bucket;
    while (seen > 0 && groups[seen][0] == 0) {
      seen--;
    }
    QuantileSketch sketch = sketches[seen][layer];
    if (sparsity > 0) {
      return sketch.quantile(sparsity);
    }
    return signed ? sketch.quantile(0) - 1 : -1;
  }

  /** Fraction of neurons that one sequence calls at these thresholds, [bucket][layer]. */
  public double[][] ownDensity(float[][] thresholds) {
    return densities(thresholds, (k, layer) -> sketches[0][layer]);
  }

  /** Fraction of neurons in the union of a full bucket at these thresholds, [bucket][layer]. */
  public double[][] unionDensity(float[][] thresholds) {
    return densities(thresholds, (k, layer) -> sketches[k][layer]);
  }

  /**
   * How far apart prompts are: the standard deviation of their own densities at these thresholds,
   * [bucket][layer]; null of fewer than two.
   */
  public double[][] ownSpread(float[][] thresholds) {
    return documents.spread(thresholds);
  }

  private interface SketchOf {
    QuantileSketch get(int bucket, int layer);
  }

  private static double[][] densities(float[][] thresholds, SketchOf sketches) {
    double[][] densities = new double[thresholds.length][thresholds[0].length];
    for (int k = 0; k < thresholds.length; k++) {
      for (int layer = 0; layer < thresholds[k].length; layer++) {
        densities[k][layer] = sketches.get(k, layer).above(thresholds[k][layer]);
      }
    }
    return densities;
  }
}
