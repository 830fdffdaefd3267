package io.rollcall.engine.evaluation;

import java.io.Serializable;

/** Sums over decode positions; what they are is {@link DocumentScore}'s. */
public record PositionSums(long tokens, double loss, long hits, double divergence)
    implements Serializable {
  public static final PositionSums NONE = new PositionSums(0, 0, 0, 0);

  public PositionSums plus(PositionSums other) {
    return new PositionSums(
        tokens + other.tokens,
        loss + other.loss,
        hits + other.hits,
        divergence + other.divergence);
  }

  /** exp(loss / tokens); NaN of nothing. */
  public double perplexity() {
    return Math.exp(loss / tokens);
  }
}
