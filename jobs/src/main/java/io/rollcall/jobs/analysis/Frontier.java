package io.rollcall.jobs.analysis;

import io.rollcall.engine.sparsity.Method;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/** Measured points as series: what is compared, and what a series reads at a loss. */
final class Frontier {
  /** The loss at which series are compared. */
  static final double LOSS = 0.05;

  /** Losses above are left out of pictures. */
  static final double SHOWN = 0.2;

  private Frontier() {}

  static Map<Integer, List<FrontierPoint>> byBatch(List<FrontierPoint> points) {
    return points.stream()
        .collect(
            Collectors.groupingBy(FrontierPoint::batchSize, TreeMap::new, Collectors.toList()));
  }

  static Method method(FrontierPoint point) {
    return Method.parse(point.method());
  }

  /** By name, from fewest bytes to most. */
  static Map<String, List<FrontierPoint>> series(
      List<FrontierPoint> points, Predicate<FrontierPoint> some) {
    return points.stream()
        .filter(some)
        .sorted(Comparator.comparingDouble(FrontierPoint::bytesToDenseBf16))
        .collect(Collectors.groupingBy(Frontier::name, TreeMap::new, Collectors.toList()));
  }

  static String name(FrontierPoint point) {
    StringBuilder name = new StringBuilder(point.method());
    if (!point.weights().equals("bf16")) {
      name.append(' ').append(point.weights());
    }
    if (method(point).sparse() && !point.union().equals("shared")) {
      name.append(' ').append(union(point));
    }
    if (point.profile() != null) {
      name.append(", by layer");
    }
    if (point.recovery()) {
      name.append(", recovered");
    }
    return name.toString();
  }

  /** own, shared or budget. */
  static String union(FrontierPoint point) {
    return point.union().replaceFirst(":.*", "");
  }

  /** Pictures have one union and one precision. */
  static boolean pictured(FrontierPoint point) {
    return point.union().equals("shared") && point.weights().equals("bf16");
  }

  /** A panel of losses over bytes, with a line or a mark for each series. */
  static Chart panel(int batch, List<Chart.Series> series) {
    return new Chart(
        Chart.Kind.POINTS,
        batch == 1 ? "One sequence in flight" : batch + " sequences in flight",
        new Chart.Axis("Feed-forward bytes read, of dense in bf16", Chart.Unit.SHARE),
        new Chart.Axis("Rise of perplexity over dense in bf16", Chart.Unit.SHARE),
        List.of(),
        series);
  }

  /** A line for each series. */
  static List<Chart.Series> lines(List<FrontierPoint> points, Predicate<FrontierPoint> some) {
    return series(points, some).entrySet().stream()
        .map(e -> line(e.getKey(), e.getValue()))
        .collect(Collectors.toList());
  }

  static Chart.Series line(String name, List<FrontierPoint> points) {
    return new Chart.Series(
        name,
        false,
        points.stream().mapToDouble(FrontierPoint::bytesToDenseBf16).toArray(),
        points.stream().mapToDouble(FrontierPoint::loss).toArray(),
        points.stream().map(p -> "sparsity " + p.sparsity()).toList());
  }

  /** What a table says of {@link #bytesAt} the loss; empty without points. */
  static String cell(List<FrontierPoint> series) {
    return series.isEmpty()
        ? ""
        : bytesAt(LOSS, series).stream()
            .mapToObj(Numbers::thousandths)
            .findAny()
            .orElse("loses more");
  }

  /**
   * Bytes to dense's in bf16 at the loss: between the two points around it, or of the nearest gentler one
   * where no harsher was measured; empty where all points lose more.
   */
  static OptionalDouble bytesAt(double loss, List<FrontierPoint> series) {
    List<FrontierPoint> sorted =
        series.stream().sorted(Comparator.comparingDouble(FrontierPoint::loss)).toList();
    FrontierPoint within = null;
    for (FrontierPoint point : sorted) {
      if (point.loss() > loss) {
        if (within == null) {
          return OptionalDouble.empty();
        }
        double part = (loss - within.loss()) / (point.loss() - within.loss());
        double reached =
            within.bytesToDenseBf16()
                + part * (point.bytesToDenseBf16() - within.bytesToDenseBf16());
        return OptionalDouble.of(Math.min(reached, within.bytesToDenseBf16()));
      }
      if (within == null || point.bytesToDenseBf16() <= within.bytesToDenseBf16()) {
        within = point;
      }
    }
    return within == null
        ? OptionalDouble.empty()
        : OptionalDouble.of(within.bytesToDenseBf16());
  }
}
