package io.rollcall.engine.calibration;

import io.rollcall.engine.calibration.QuantileSketch.Summary;
import java.io.Serializable;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The scores that {@link ScoreSketches} saw, for the thresholds of any sparsity. Those of several parts
 * of a corpus can be {@link #merged}.
 */
public final class ScoreDistributions implements Serializable {
  /** Times that distributions are merged on their way, at most. */
  private static final int MERGES = 2;

  private final boolean signed;
  private final long positions;
  private final long[] groups;
  private final Summary[][] scores;
  private final DocumentSpread documents;

  /**
   * @param groups [bucket] of its batch size that were seen
   * @param scores [bucket][layer] of the largest in each group
   */
  ScoreDistributions(
      boolean signed,
      long positions,
      long[] groups,
      Summary[][] scores,
      DocumentSpread documents) {
    this.signed = signed;
    this.positions = positions;
    this.groups = groups;
    this.scores = scores;
    this.documents = documents;
  }

  /** Of the same kind, whatever their order; best all at once, since each time costs precision. */
  public static ScoreDistributions merged(List<ScoreDistributions> parts) {
    ScoreDistributions first = parts.get(0);
    int layers = first.scores[0].length;
    return new ScoreDistributions(
        first.signed,
        parts.stream().mapToLong(part -> part.positions).sum(),
        IntStream.range(0, first.buckets())
            .mapToLong(k -> parts.stream().mapToLong(part -> part.groups[k]).sum())
            .toArray(),
        IntStream.range(0, first.buckets())
            .mapToObj(
                k ->
                    IntStream.range(0, layers)
                        .mapToObj(
                            layer ->
                                Summary.merged(
                                    parts.stream().map(part -> part.scores[k][layer]).toList()))
                        .toArray(Summary[]::new))
            .toArray(Summary[][]::new),
        DocumentSpread.merged(parts.stream().map(part -> part.documents).toList()));
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
    return groups[bucket];
  }

  /** How far densities may be from the wanted ones at these positions, with 99 % confidence. */
  public static double rankError() {
    return Summary.rankError(MERGES);
  }

  /**
   * Thresholds, [bucket][layer].
   *
   * @param sparsity wanted by bucket; the last serves every larger one
   */
  public float[][] thresholds(double... sparsity) {
    float[][] thresholds = new float[scores.length][scores[0].length];
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
    while (seen > 0 && groups[seen] == 0) {
      seen--;
    }
    Summary summary = scores[seen][layer];
    if (sparsity > 0) {
      return summary.quantile(sparsity);
    }
    return signed ? 2 * summary.quantile(0) - summary.quantile(1) : -1;
  }

  /** Fraction of neurons that one sequence calls at these thresholds, [bucket][layer]. */
  public double[][] ownDensity(float[][] thresholds) {
    return densities(thresholds, (k, layer) -> scores[0][layer]);
  }

  /** Fraction of neurons in the union of a full bucket at these thresholds, [bucket][layer]. */
  public double[][] unionDensity(float[][] thresholds) {
    return densities(thresholds, (k, layer) -> scores[k][layer]);
  }

  /**
   * How far apart prompts are: the standard deviation of their own densities at these thresholds,
   * [bucket][layer]; null of fewer than two.
   */
  public double[][] ownSpread(float[][] thresholds) {
    return documents.spread(thresholds);
  }

  private interface SummaryOf {
    Summary get(int bucket, int layer);
  }

  private static double[][] densities(float[][] thresholds, SummaryOf summaries) {
    double[][] densities = new double[thresholds.length][thresholds[0].length];
    for (int k = 0; k < thresholds.length; k++) {
      for (int layer = 0; layer < thresholds[k].length; layer++) {
        densities[k][layer] = summaries.get(k, layer).above(thresholds[k][layer]);
      }
    }
    return densities;
  }
}
