package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Frontier.LOSS;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Which rows a sequence should use: its own, all that its batch loads, or a budget of these. */
public final class UnionFrontierFinding {
  private UnionFrontierFinding() {}

  /** A panel for each batch size in which unions were compared, with one sparsity for all layers. */
  public static Finding of(List<FrontierPoint> points) {
    String question = "Which union reads least for a loss?";
    Map<Integer, List<FrontierPoint>> compared = new TreeMap<>();
    Frontier.byBatch(points.stream().filter(UnionFrontierFinding::comparable).toList())
        .forEach(
            (batch, some) -> {
              List<FrontierPoint> of = some.stream().filter(p -> unions(p, some) > 1).toList();
              if (!of.isEmpty()) {
                compared.put(batch, of);
              }
            });
    if (compared.isEmpty()) {
      return Evidence.nothing(
          "unions",
          question,
          "No method was measured under two unions.",
          "notebooks/bin/frontier --only plain,unions measures them.");
    }
    List<Chart> charts = new ArrayList<>();
    compared.forEach((batch, some) -> charts.add(panel(batch, some)));
    DataTable table = table(compared);
    return new Finding(
        "unions", question, charts, List.of(least(compared), own(compared)), table, false);
  }

  /** Alike but for the union. */
  private static boolean comparable(FrontierPoint point) {
    return Frontier.method(point).sparse()
        && point.batchSize() > 1
        && point.weights().equals("bf16")
        && point.profile() == null
        && !point.recovery();
  }

  private static long unions(FrontierPoint of, List<FrontierPoint> points) {
    return points.stream()
        .filter(p -> p.method().equals(of.method()))
        .map(Frontier::union)
        .distinct()
        .count();
  }

  private static Chart panel(int batch, List<FrontierPoint> points) {
    List<Chart.Series> series = new ArrayList<>();
    Frontier.series(points, p -> p.loss() <= Frontier.SHOWN)
        .forEach((name, some) -> series.add(Frontier.line(name, some)));
    return Frontier.panel(batch, series);
  }

  /** What each method reads at the loss under each union. */
  private static Map<String, Map<String, OptionalDouble>> read(List<FrontierPoint> points) {
    return points.stream()
        .collect(
            Collectors.groupingBy(
                FrontierPoint::method,
                TreeMap::new,
                Collectors.groupingBy(
                    Frontier::union,
                    TreeMap::new,
                    Collectors.collectingAndThen(
                        Collectors.toList(), some -> Frontier.bytesAt(LOSS, some)))));
  }

  private static String least(Map<Integer, List<FrontierPoint>> compared) {
    Map<String, Integer> wins = new TreeMap<>();
    int cases = 0;
    for (List<FrontierPoint> points : compared.values()) {
      for (Map<String, OptionalDouble> unions : read(points).values()) {
        String best =
            unions.entrySet().stream()
                .filter(e -> e.getValue().isPresent())
                .min((a, b) -> Double.compare(a.getValue().getAsDouble(), b.getValue().getAsDouble()))
                .map(Map.Entry::getKey)
                .orElse("none");
        wins.merge(best, 1, Integer::sum);
        cases++;
      }
    }
    String each =
        wins.entrySet().stream()
            .sorted((a, b) -> b.getValue() - a.getValue())
            .map(e -> e.getKey() + " in " + e.getValue())
            .collect(Collectors.joining(", "));
    return format(
        "Within %s of perplexity, of %d pairs of a method and a batch size, least is read under %s.",
        percent(LOSS), cases, each);
  }

  /** What own reads, which is what batches take from a sequence that keeps to its own rows. */
  private static String own(Map<Integer, List<FrontierPoint>> compared) {
    double[] own =
        compared.values().stream()
            .flatMap(points -> read(points).values().stream())
            .map(unions -> unions.getOrDefault("own", OptionalDouble.empty()))
            .filter(OptionalDouble::isPresent)
            .mapToDouble(OptionalDouble::getAsDouble)
            .sorted()
            .toArray();
    return own.length == 0
        ? "Under own none keeps within it."
        : format(
            "Under own, where a sequence uses its own rows alone, the batch reads %s to %s of dense's"
                + " bytes.",
            percent(own[0]), percent(own[own.length - 1]));
  }

  private static DataTable table(Map<Integer, List<FrontierPoint>> compared) {
    List<String> unions = List.of("own", "shared", "budget");
    DataTable table = DataTable.of("Within " + percent(LOSS), "#Batch", "#own", "#shared", "#budget");
    compared.forEach(
        (batch, points) ->
            read(points)
                .forEach(
                    (method, read) -> {
                      List<String> cells = new ArrayList<>(List.of(method, Integer.toString(batch)));
                      for (String union : unions) {
                        OptionalDouble bytes = read.get(union);
                        cells.add(
                            bytes == null
                                ? ""
                                : bytes.isPresent()
                                    ? format("%.3f", bytes.getAsDouble())
                                    : "loses more");
                      }
                      table.row(cells.toArray(String[]::new));
                    }));
    return table;
  }
}
