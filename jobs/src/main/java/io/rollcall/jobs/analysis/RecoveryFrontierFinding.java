package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Numbers.finePercent;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/** What corrections of layers' outputs take back of what sparsity loses. */
public final class RecoveryFrontierFinding {
  private RecoveryFrontierFinding() {}

  /** A configuration without corrections and with them. */
  private record Pair(FrontierPoint without, FrontierPoint with) {
    String name() {
      return format("%s, %d in flight", Frontier.name(without), without.batchSize());
    }

    /** Of the loss, what is taken back. */
    double takenBack() {
      return (without.loss() - with.loss()) / without.loss();
    }

    double addedBytes() {
      return with.bytesToDenseBf16() - without.bytesToDenseBf16();
    }
  }

  /** A panel for each batch size, with a line from each configuration to itself with corrections. */
  public static Finding of(List<FrontierPoint> points) {
    String question = "What do corrections take back?";
    List<Pair> pairs =
        points.stream()
            .filter(FrontierPoint::recovery)
            .flatMap(with -> points.stream().filter(p -> without(p, with)).map(p -> new Pair(p, with)))
            .sorted(
                Comparator.comparing((Pair pair) -> pair.without.batchSize())
                    .thenComparing(Pair::name)
                    .thenComparing(pair -> pair.without.sparsity()))
            .toList();
    if (pairs.isEmpty()) {
      return Evidence.nothing(
          "recovery",
          question,
          "No configuration was measured with corrections and without.",
          "notebooks/bin/frontier --only plain,recovery measures them.");
    }
    List<Pair> pictured = pairs.stream().filter(pair -> Frontier.pictured(pair.with)).toList();
    List<Chart> charts = new ArrayList<>();
    Frontier.byBatch(pictured.stream().map(Pair::without).toList())
        .keySet()
        .forEach(batch -> charts.add(panel(batch, pictured)));
    return new Finding(
        "recovery", question, charts, List.of(lowered(pairs), extremes(pairs)), table(pairs), false);
  }

  /** Whether a point is the other's configuration without corrections. */
  private static boolean without(FrontierPoint point, FrontierPoint with) {
    return !point.recovery()
        && point.batchSize() == with.batchSize()
        && point.method().equals(with.method())
        && point.union().equals(with.union())
        && point.weights().equals(with.weights())
        && point.sparsity() == with.sparsity()
        && (point.profile() == null) == (with.profile() == null)
        && point.loss() > 0;
  }

  private static Chart panel(int batch, List<Pair> pairs) {
    List<Chart.Series> series = new ArrayList<>();
    for (Pair pair : pairs) {
      if (pair.without.batchSize() == batch) {
        series.add(
            Frontier.line(
                format("%s %.2f", Frontier.name(pair.without), pair.without.sparsity()),
                List.of(pair.without, pair.with)));
      }
    }
    return Frontier.panel(batch, series);
  }

  private static String lowered(List<Pair> pairs) {
    long lower = pairs.stream().filter(pair -> pair.takenBack() > 0).count();
    double taken = pairs.stream().mapToDouble(Pair::takenBack).average().orElseThrow();
    double added = pairs.stream().mapToDouble(Pair::addedBytes).average().orElseThrow();
    return format(
        "Corrections lower the loss in %d of %d configurations and take back %s of it on average, for"
            + " %s of dense's bytes.",
        lower, pairs.size(), percent(taken), finePercent(added));
  }

  private static String extremes(List<Pair> pairs) {
    Comparator<Pair> order = Comparator.comparingDouble(Pair::takenBack);
    Pair most = pairs.stream().max(order).orElseThrow();
    Pair least = pairs.stream().min(order).orElseThrow();
    return format(
        "They take back most of %s (%s to %s) and least of %s (%s to %s).",
        most.name(),
        finePercent(most.without.loss()),
        finePercent(most.with.loss()),
        least.name(),
        finePercent(least.without.loss()),
        finePercent(least.with.loss()));
  }

  private static DataTable table(List<Pair> pairs) {
    DataTable table =
        DataTable.of(
            "Configuration", "#Sparsity", "#Bytes", "#Loss", "#Bytes corrected", "#Loss corrected");
    for (Pair pair : pairs) {
      table.row(
          pair.name(),
          format("%.3f", pair.without.sparsity()),
          format("%.3f", pair.without.bytesToDenseBf16()),
          finePercent(pair.without.loss()),
          format("%.3f", pair.with.bytesToDenseBf16()),
          finePercent(pair.with.loss()));
    }
    return table;
  }
}
