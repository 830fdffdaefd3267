package io.rollcall.engine.evaluation;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * Scores references by the next-token distributions of several runners; the first is dense, and what
 * the others diverge from. Nothing is kept of a position but its sums.
 *
 * <p>Positions of steps with a full batch count for their documents. The steps at the end, when
 * documents run out, are of a smaller batch than was asked for and count apart, by their own size.
 */
public final class ReferenceScorer implements PositionListener {
  private final int batchSize;
  private final int vocabulary;
  private final double[] dense;
  private final Map<Integer, PositionSums[]> documents = new HashMap<>();
  private final TreeMap<Integer, PositionSums[]> smaller = new TreeMap<>();

  /** @param batchSize documents of a full step */
  public ReferenceScorer(int batchSize, int vocabulary) {
    this.batchSize = batchSize;
    this.vocabulary = vocabulary;
    dense = new double[vocabulary];
  }

  @Override
  public void position(
      ReferencedDocument document,
      int position,
      int next,
      int batch,
      float[][] logits,
      int offset) {
    double denseLogSum = distribution(logits[0], offset, dense);
    boolean full = batch == batchSize;
    PositionSums[] sums =
        full
            ? documents.computeIfAbsent(document.index(), any -> none(logits.length))
            : smaller.computeIfAbsent(batch, any -> none(logits.length));
    for (int r = 0; r < logits.length; r++) {
      float[] row = logits[r];
      double logSum = r == 0 ? denseLogSum : logSum(row, offset);
      double divergence =
          r == 0 ? 0 : logSum - denseLogSum + expectedGap(logits[0], row, offset);
      sums[r] =
          sums[r].plus(
              new PositionSums(
                  1,
                  logSum - row[offset + next],
                  likeliest(row, offset) == next ? 1 : 0,
                  divergence));
    }
  }

  /** Of full steps; NONE for a document that met none. */
  public PositionSums document(int index, int runner) {
    PositionSums[] sums = documents.get(index);
    return sums == null ? PositionSums.NONE : sums[runner];
  }

  /** Of the other steps, by batch size. */
  public Map<Integer, PositionSums> smaller(int runner) {
    Map<Integer, PositionSums> sums = new TreeMap<>();
    smaller.forEach((batch, all) -> sums.put(batch, all[runner]));
    return sums;
  }

  private static PositionSums[] none(int runners) {
    PositionSums[] sums = new PositionSums[runners];
    Arrays.fill(sums, PositionSums.NONE);
    return sums;
  }

  /** log sum exp of a row. */
  private double logSum(float[] logits, int offset) {
    float largest = logits[offset + likeliest(logits, offset)];
    double sum = 0;
    for (int token = 0; token < vocabulary; token++) {
      sum += Math.exp(logits[offset + token] - largest);
    }
    return largest + Math.log(sum);
  }

  /** Fills in the probabilities of a row, and gives its log sum exp. */
  private double distribution(float[] logits, int offset, double[] probabilities) {
    float largest = logits[offset + likeliest(logits, offset)];
    double sum = 0;
    for (int token = 0; token < vocabulary; token++) {
      probabilities[token] = Math.exp(logits[offset + token] - largest);
      sum += probabilities[token];
    }
    for (int token = 0; token < vocabulary; token++) {
      probabilities[token] /= sum;
    }
    return largest + Math.log(sum);
  }

  /** Mean under dense of how far the logits of dense are above the others'. */
  private double expectedGap(float[] of, float[] other, int offset) {
    double gap = 0;
    for (int token = 0; token < vocabulary; token++) {
      gap += dense[token] * (of[offset + token] - other[offset + token]);
    }
    return gap;
  }

  /** The lowest of the tokens with the largest logit. */
  private int likeliest(float[] logits, int offset) {
    int best = 0;
    for (int token = 1; token < vocabulary; token++) {
      if (logits[offset + token] > logits[offset + best]) {
        best = token;
      }
    }
    return best;
  }
}
