package io.rollcall.engine.evaluation;

import java.io.Serializable;

/**
 * How well one configuration foresaw one document's reference, and what it answered itself.
 *
 * @param tokens decode positions counted
 * @param loss negative log-likelihood of the reference, nats, summed over them
 * @param hits positions where the reference's token was the likeliest
 * @param divergence Kullback-Leibler divergence of next tokens from dense, KL(dense || this), nats,
 *     summed over positions
 * @param rougeL of the greedy answer against the reference
 * @param same whether the greedy answer is dense's own
 */
public record DocumentScore(
    int document,
    long tokens,
    double loss,
    long hits,
    double divergence,
    double rougeL,
    boolean same)
    implements Serializable {

  PositionSums sums() {
    return new PositionSums(tokens, loss, hits, divergence);
  }

  /** The same positions with an answer. */
  DocumentScore answered(double rougeL, boolean same) {
    return new DocumentScore(document, tokens, loss, hits, divergence, rougeL, same);
  }
}
