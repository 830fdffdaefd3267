package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Numbers.density;
import static io.rollcall.jobs.analysis.Numbers.finePercent;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import io.rollcall.jobs.evaluate.Metrics;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;

/** Bytes against loss, of evaluated configurations. */
final class QualityCharts {
  private QualityCharts() {}

  /** A point for each configuration and dense, a series for each method, union and batch size. */
  static Chart bytesAgainstLoss(String title, List<Metrics> sparse) {
    return bytesAgainstLoss(title, sparse, QualityCharts::kind);
  }

  /** @param series under whose name a configuration is drawn */
  static Chart bytesAgainstLoss(
      String title, List<Metrics> sparse, Function<Metrics, String> series) {
    Map<String, List<Metrics>> bySeries =
        sparse.stream()
            .sorted(Comparator.comparingDouble(Metrics::bytesToDense))
            .collect(Collectors.groupingBy(series, TreeMap::new, Collectors.toList()));
    List<Chart.Series> drawn = new ArrayList<>();
    bySeries.forEach(
        (name, points) ->
            drawn.add(
                new Chart.Series(
                    name,
                    false,
                    points.stream().mapToDouble(Metrics::bytesToDense).toArray(),
                    points.stream().mapToDouble(Metrics::perplexityLoss).toArray(),
                    points.stream().map(m -> "sparsity " + m.sparsity()).toList())));
    drawn.add(new Chart.Series("dense", false, new double[] {1}, new double[] {0}, null));
    return new Chart(
        Chart.Kind.POINTS,
        title,
        new Chart.Axis("Feed-forward bytes read, of dense", Chart.Unit.SHARE),
        new Chart.Axis("Rise of perplexity", Chart.Unit.SHARE),
        List.of(),
        drawn);
  }

  static String kind(Metrics m) {
    return format("%s %s, batch %d", m.method(), m.union(), m.batchSize());
  }

  static DataTable table(List<Metrics> sparse) {
    DataTable table =
        DataTable.of(
            "Method",
            "#Sparsity",
            "Union",
            "#Batch",
            "#Bytes",
            "#Loss",
            "Interval",
            "#Accuracy",
            "#ROUGE-L",
            "#Same as dense",
            "#Union density");
    for (Metrics m : sparse) {
      table.row(
          m.method(),
          density(m.sparsity()),
          m.union(),
          Numbers.count(m.batchSize()),
          percent(m.bytesToDense()),
          finePercent(m.perplexityLoss()),
          interval(m),
          format("%.3f", m.tokenAccuracy()),
          format("%.3f", m.rougeL()),
          percent(m.sameAsDense()),
          density(m.unionDensity()));
    }
    return table;
  }

  static String interval(Metrics m) {
    return finePercent(m.perplexityLossInterval().low())
        + " to "
        + finePercent(m.perplexityLossInterval().high());
  }

  /** Which configuration reads least within a loss, in a sentence. */
  static String best(List<Metrics> sparse, double maxLoss) {
    return sparse.stream()
        .filter(m -> m.perplexityLoss() <= maxLoss)
        .min(Comparator.comparingDouble(Metrics::bytesToDense))
        .map(
            m ->
                format(
                    "Of %d evaluated configurations %s at sparsity %s reads least within %s of perplexity: %s of"
                        + " dense's bytes for %s.",
                    sparse.size(),
                    kind(m),
                    m.sparsity(),
                    percent(maxLoss),
                    percent(m.bytesToDense()),
                    finePercent(m.perplexityLoss())))
        .orElseGet(
            () ->
                format(
                    "None of %d evaluated configurations stays within %s of perplexity; the nearest, %s, loses"
                        + " %s.",
                    sparse.size(), percent(maxLoss), nearest(sparse), finePercent(least(sparse))));
  }

  private static String nearest(List<Metrics> sparse) {
    Metrics m =
        sparse.stream().min(Comparator.comparingDouble(Metrics::perplexityLoss)).orElseThrow();
    return kind(m) + " at sparsity " + m.sparsity();
  }

  private static double least(List<Metrics> sparse) {
    return sparse.stream().mapToDouble(Metrics::perplexityLoss).min().orElseThrow();
  }
}
