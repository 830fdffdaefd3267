package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Frontier.LOSS;
import static io.rollcall.jobs.analysis.Frontier.SHOWN;
import static io.rollcall.jobs.analysis.Frontier.bytesAt;
import static io.rollcall.jobs.analysis.Frontier.method;
import static io.rollcall.jobs.analysis.Frontier.series;
import static io.rollcall.jobs.analysis.Numbers.finePercent;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import io.rollcall.engine.sparsity.Method;
import java.util.ArrayList;
import java.util.DoubleSummaryStatistics;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** How few bytes a batch size needs for a loss: measured frontiers, with quantised dense as the rival. */
public final class FrontierFinding {
  /** Bytes to dense's that are aimed at within the loss, by batch size. */
  private static final Map<Integer, Double> GOALS = Map.of(1, 0.50, 8, 0.75, 32, 0.88);

  private FrontierFinding() {}

  /** A panel for each batch size, and a table of what every series reads at the loss. */
  public static Finding of(List<FrontierPoint> points) {
    String question = "How few bytes does a batch size need for a loss?";
    if (points.isEmpty()) {
      return Evidence.nothing(
          "loss-frontier",
          question,
          "There is no measured frontier.",
          "notebooks/bin/frontier measures one.");
    }
    Map<Integer, List<FrontierPoint>> byBatch = Frontier.byBatch(points);
    List<Chart> charts = new ArrayList<>();
    byBatch.forEach((batch, some) -> charts.add(panel(batch, some)));
    return new Finding(
        "loss-frontier",
        question,
        charts,
        List.of(reached(byBatch), rivals(byBatch)),
        table(byBatch),
        false);
  }

  private static Chart panel(int batch, List<FrontierPoint> points) {
    List<Chart.Series> series = Frontier.lines(points, FrontierFinding::shown);
    if (GOALS.containsKey(batch)) {
      series.add(
          new Chart.Series(
              "goal", false, new double[] {GOALS.get(batch)}, new double[] {LOSS}, null));
    }
    return Frontier.panel(batch, series);
  }

  /** The rivals have other precisions. */
  private static boolean shown(FrontierPoint point) {
    return point.loss() <= SHOWN
        && (method(point) == Method.DENSE || Frontier.pictured(point));
  }

  private static String reached(Map<Integer, List<FrontierPoint>> byBatch) {
    String each =
        byBatch.entrySet().stream()
            .map(
                e ->
                    best(e.getValue(), p -> p.weights().equals("bf16") && usable(p))
                        .map(
                            best ->
                                format(
                                    "%s at batch %d (%s)",
                                    percent(best.getValue()), e.getKey(), best.getKey()))
                        .orElse("no figure at batch " + e.getKey()))
            .collect(Collectors.joining(", "));
    return format(
        "Within %s of perplexity, on bf16 weights, the feed-forward reads of dense's bytes %s.",
        percent(LOSS), each);
  }

  private static String rivals(Map<Integer, List<FrontierPoint>> byBatch) {
    return byBatch.values().stream()
        .flatMap(List::stream)
        .filter(p -> method(p) == Method.DENSE)
        .collect(
            Collectors.groupingBy(
                FrontierPoint::weights, TreeMap::new, Collectors.toList()))
        .entrySet()
        .stream()
        .map(
            e ->
                format(
                    "Dense in %s reads %s for a loss of %s.",
                    e.getKey(),
                    percent(e.getValue().get(0).bytesToDenseBf16()),
                    losses(e.getValue())))
        .collect(Collectors.joining(" "));
  }

  /** From least to most, once where they look the same. */
  private static String losses(List<FrontierPoint> points) {
    DoubleSummaryStatistics losses =
        points.stream().mapToDouble(FrontierPoint::loss).summaryStatistics();
    String least = finePercent(losses.getMin());
    String most = finePercent(losses.getMax());
    return least.equals(most) ? least : least + " to " + most;
  }

  /** Oracles compute what they save. */
  private static boolean usable(FrontierPoint point) {
    return switch (method(point)) {
      case DENSE, D_COUNTDOWN_ORACLE, S_COUNTDOWN_ORACLE -> false;
      case CATS, M_COUNTDOWN, D_COUNTDOWN, S_COUNTDOWN -> true;
    };
  }

  /** The series that reads least at the loss. */
  private static Optional<Map.Entry<String, Double>> best(
      List<FrontierPoint> points, Predicate<FrontierPoint> some) {
    return series(points, some).entrySet().stream()
        .filter(e -> bytesAt(LOSS, e.getValue()).isPresent())
        .map(e -> Map.entry(e.getKey(), bytesAt(LOSS, e.getValue()).getAsDouble()))
        .min(Map.Entry.comparingByValue());
  }

  /** What each series reads at the loss, a column for each batch size. */
  private static DataTable table(Map<Integer, List<FrontierPoint>> byBatch) {
    List<String> titles = new ArrayList<>(List.of("Within " + percent(LOSS)));
    byBatch.keySet().forEach(batch -> titles.add("#Batch " + batch));
    DataTable table = DataTable.of(titles.toArray(String[]::new));
    Map<String, List<FrontierPoint>> all =
        series(byBatch.values().stream().flatMap(List::stream).toList(), point -> true);
    for (String name : all.keySet()) {
      List<String> cells = new ArrayList<>(List.of(name));
      for (List<FrontierPoint> points : byBatch.values()) {
        cells.add(Frontier.cell(series(points, point -> true).getOrDefault(name, List.of())));
      }
      table.row(cells.toArray(String[]::new));
    }
    List<String> goals = new ArrayList<>(List.of("goal"));
    byBatch.keySet().forEach(b -> goals.add(GOALS.containsKey(b) ? format("%.2f", GOALS.get(b)) : ""));
    table.row(goals.toArray(String[]::new));
    return table;
  }
}
