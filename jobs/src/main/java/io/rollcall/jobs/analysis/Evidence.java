package io.rollcall.jobs.analysis;

import io.rollcall.jobs.evaluate.Metrics;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/**
 * What findings draw on, asked of the tables once.
 *
 * @param main the sparse label with most bytes at stake, which pictures of one label show; null where
 *     all runs were dense or decoded nothing
 */
record Evidence(
    Savings savings,
    List<Metrics> evaluated,
    OptionalDouble hourPrice,
    List<Savings.Layer> layers,
    List<Savings.Cell> cells,
    String main) {

  static Evidence of(Savings savings, List<Metrics> evaluated, OptionalDouble hourPrice) {
    List<Savings.Layer> layers = savings.layers();
    List<Savings.Cell> cells = savings.cells();
    String main =
        cells.stream()
            .collect(
                Collectors.groupingBy(
                    Savings.Cell::label,
                    TreeMap::new,
                    Collectors.summingLong(Savings.Cell::bytesDense)))
            .entrySet()
            .stream()
            .max(Map.Entry.comparingByValue())
            .map(Map.Entry::getKey)
            .orElse(null);
    return new Evidence(savings, evaluated, hourPrice, layers, cells, main);
  }

  /** The latest run that succeeded under a label. */
  Run last(String label) {
    List<Run> runs = savings.runs(label);
    return runs.get(runs.size() - 1);
  }

  List<Savings.Cell> cells(String label) {
    return cells.stream().filter(cell -> cell.label().equals(label)).toList();
  }

  /** By label, without dense's. */
  Map<String, List<Savings.Layer>> sparseLayers() {
    return layers.stream()
        .filter(layer -> !cells(layer.label()).isEmpty())
        .collect(Collectors.groupingBy(Savings.Layer::label, TreeMap::new, Collectors.toList()));
  }

  Replay replay(String label) {
    return new Replay(cells(label), last(label));
  }

  /** Bytes to dense's of the steps with so many sequences. */
  double recorded(String label, int batch) {
    List<Savings.Cell> there =
        cells(label).stream().filter(cell -> cell.batchSize() == batch).toList();
    return (double) there.stream().mapToLong(Savings.Cell::bytesRead).sum()
        / there.stream().mapToLong(Savings.Cell::bytesDense).sum();
  }

  /** What evaluate found for a run as it ran. */
  Optional<Quality> quality(Run run) {
    return Quality.of(run, evaluated);
  }

  /** The latest run of which that is known, those of the main label first. */
  Optional<Run> known() {
    return savings.runs().stream()
        .filter(run -> quality(run).isPresent())
        .max(
            Comparator.comparing((Run run) -> savings.label(run).equals(main))
                .thenComparing(Run::started));
  }

  /** An answer where nothing can be shown. */
  static Finding nothing(String id, String question, String first, String second) {
    return new Finding(
        id, question, List.of(), List.of(first, second), DataTable.of(), false);
  }

  /** Of all labels, as a chart's categories. */
  static List<String> layerNames(Collection<List<Savings.Layer>> labels) {
    return labels.stream()
        .flatMap(List::stream)
        .map(Savings.Layer::layer)
        .distinct()
        .sorted()
        .map(Object::toString)
        .toList();
  }

  static <T> double[] values(List<T> rows, ToDoubleFunction<T> value) {
    return rows.stream().mapToDouble(value).toArray();
  }

  static <T> double mean(List<T> rows, ToDoubleFunction<T> value) {
    return rows.stream().mapToDouble(value).average().orElse(Double.NaN);
  }
}
