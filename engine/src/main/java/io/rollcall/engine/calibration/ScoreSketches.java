package io.rollcall.engine.calibration;

import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.ScoreObserver;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.UnionStrategy;
import java.util.Arrays;
import java.util.List;

/**
 * Sketches the distributions of scores over decode positions that thresholds are quantiles of, one for
 * each batch bucket and layer.
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
public final class ScoreSketches implements ScoreObserver {
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

  /** What was seen so far. */
  public ScoreDistributions distributions() {
    return new ScoreDistributions(
        signed,
        positions,
        Arrays.stream(groups).mapToLong(bucket -> bucket[0]).toArray(),
        Arrays.stream(sketches)
            .map(
                bucket ->
                    Arrays.stream(bucket)
                        .map(QuantileSketch::summary)
                        .toArray(QuantileSketch.Summary[]::new))
            .toArray(QuantileSketch.Summary[][]::new),
        documents.ended());
  }
}
