package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Frontier.LOSS;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Which rows a sequence should use: its own, all that its batch loads, or a budget of these. */
public final class UnionFrontierFinding {
  private static final List<String> UNIONS = List.of("own", "shared", "budget");

  private UnionFrontierFinding() {}

  /** A method at a batch size, with one sparsity for all layers: its points under each union. */
  private record Case(int batch, String method, Map<String, List<FrontierPoint>> points) {

    OptionalDouble read(String union) {
      return Frontier.bytesAt(LOSS, points.getOrDefault(union, List.of()));
    }

    /** The union that reads least at the loss. */
    String best() {
      return UNIONS.stream()
          .filter(union -> read(union).isPresent())
          .min(Comparator.comparingDouble(union -> read(union).getAsDouble()))
          .orElse("none");
    }

    Stream<FrontierPoint> all() {
      return points.values().stream().flatMap(List::stream);
    }
  }

  /** A panel for each batch size in which unions were compared. */
  public static Finding of(List<FrontierPoint> points) {
    String question = "Which union reads least for a loss?";
    List<Case> cases = cases(points);
    if (cases.isEmpty()) {
      return Evidence.nothing(
          "unions",
          question,
          "No method was measured under two unions.",
          "notebooks/bin/frontier --only plain,unions measures them.");
    }
    List<Chart> charts = new ArrayList<>();
    Frontier.byBatch(cases.stream().flatMap(Case::all).toList())
        .forEach(
            (batch, some) ->
                charts.add(
                    Frontier.panel(
                        batch, Frontier.lines(some, p -> p.loss() <= Frontier.SHOWN))));
    return new Finding(
        "unions", question, charts, List.of(least(cases), own(cases)), table(cases), false);
  }

  private static List<Case> cases(List<FrontierPoint> points) {
    List<Case> cases = new ArrayList<>();
    Frontier.byBatch(points.stream().filter(UnionFrontierFinding::comparable).toList())
        .forEach(
            (batch, some) ->
                some.stream()
                    .collect(
                        Collectors.groupingBy(
                            FrontierPoint::method,
                            TreeMap::new,
                            Collectors.groupingBy(Frontier::union)))
                    .forEach((method, unions) -> cases.add(new Case(batch, method, unions))));
    return cases.stream().filter(of -> of.points.size() > 1).toList();
  }

  /** Alike but for the union. */
  private static boolean comparable(FrontierPoint point) {
    return Frontier.method(point).sparse()
        && point.batchSize() > 1
        && point.weights().equals("bf16")
        && point.profile() == null
        && !point.recovery();
  }

  private static String least(List<Case> cases) {
    Map<String, Long> wins =
        cases.stream()
            .map(Case::best)
            .collect(Collectors.groupingBy(Function.identity(), TreeMap::new, Collectors.counting()));
    String each =
        wins.entrySet().stream()
            .sorted(Map.Entry.<String, Long>comparingByValue().reversed())
            .map(e -> e.getKey() + " in " + e.getValue())
            .collect(Collectors.joining(", "));
    return format(
        "Within %s of perplexity, of %d pairs of a method and a batch size, least is read under %s.",
        percent(LOSS), cases.size(), each);
  }

  /** What own reads, which is what batches take from a sequence that keeps to its own rows. */
  private static String own(List<Case> cases) {
    double[] own =
        cases.stream()
            .flatMapToDouble(of -> of.read("own").stream())
            .sorted()
            .toArray();
    return own.length == 0
        ? "Under own none keeps within it."
        : format(
            "Under own, where a sequence uses its own rows alone, the batch reads %s to %s of dense's"
                + " bytes.",
            percent(own[0]), percent(own[own.length - 1]));
  }

  private static DataTable table(List<Case> cases) {
    DataTable table =
        DataTable.of("Within " + percent(LOSS), "#Batch", "#own", "#shared", "#budget");
    for (Case of : cases) {
      List<String> cells = new ArrayList<>(List.of(of.method, Integer.toString(of.batch)));
      UNIONS.forEach(
          union -> cells.add(Frontier.cell(of.points.getOrDefault(union, List.of()))));
      table.row(cells.toArray(String[]::new));
    }
    return table;
  }
}
