package io.rollcall.jobs.evaluate;

import io.rollcall.engine.sparsity.Method;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Which of the profiles to take. One serves when the upper end of its loss's interval is within the
 * bound, so that it is not taken by luck. Of those that serve, methods without a predictor come before
 * those with one, then what reads the fewest bytes. Oracles are never taken: they compute what they
 * save.
 *
 * @param metrics of the profile; null where none serves
 */
record Adoption(Metrics metrics, String sentence) {

  /** @param all dense among them */
  static Adoption of(List<Metrics> all, double maxLoss) {
    List<Metrics> able = all.stream().filter(Adoption::adoptable).toList();
    Optional<Metrics> best =
        able.stream()
            .filter(m -> m.perplexityLossInterval().high() <= maxLoss)
            .filter(m -> m.bytesRead() < m.bytesDense())
            .min(
                Comparator.<Metrics, Boolean>comparing(m -> method(m).needsPredictor())
                    .thenComparing(Metrics::bytesToDense));
    return best.map(m -> new Adoption(m, adopt(m, maxLoss)))
        .orElseGet(() -> new Adoption(null, none(able, maxLoss)));
  }

  private static Method method(Metrics metrics) {
    return Method.parse(metrics.method());
  }

  private static boolean adoptable(Metrics metrics) {
    return switch (method(metrics)) {
      case DENSE, D_COUNTDOWN_ORACLE, S_COUNTDOWN_ORACLE -> false;
      case CATS, M_COUNTDOWN, D_COUNTDOWN, S_COUNTDOWN -> true;
    };
  }

  private static String adopt(Metrics m, double maxLoss) {
    return String.format(
        Locale.ROOT,
        "Adopt %s: at batch %d perplexity rises by %.1f %% (at most %.1f %% with 95 %% confidence,"
            + " %.1f %% allowed) and %.0f %% of the feed-forward bytes are saved.",
        name(m), m.batchSize(), 100 * m.perplexityLoss(), 100 * m.perplexityLossInterval().high(),
        100 * maxLoss, 100 * (1 - m.bytesToDense()));
  }

  private static String none(List<Metrics> able, double maxLoss) {
    Optional<Metrics> nearest =
        able.stream().min(Comparator.comparingDouble(m -> m.perplexityLossInterval().high()));
    if (nearest.isEmpty()) {
      return "Adopt none: oracles and dense are for comparison; evaluate m-countdown, cats or a"
          + " profile.";
    }
    Metrics m = nearest.get();
    boolean saves = m.perplexityLossInterval().high() <= maxLoss;
    return String.format(
        Locale.ROOT,
        saves
            ? "Adopt none: %s stays within %.1f %% of perplexity but saves no bytes at batch %d; ask"
                + " for more sparsity."
            : "Adopt none: at best, with %s, perplexity may rise by %4$.1f %% with 95 %% confidence"
                + " at batch %3$d, and %2$.1f %% is allowed; ask for less sparsity or a larger"
                + " --max-loss.",
        name(m), 100 * maxLoss, m.batchSize(), 100 * m.perplexityLossInterval().high());
  }

  private static String name(Metrics m) {
    String profile = m.profile() == null ? "the model's own profile" : "profile '" + m.profile() + "'";
    return m.method() + " at sparsity " + m.sparsity() + " (" + profile + ")";
  }
}
