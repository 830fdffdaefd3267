package io.rollcall.jobs.evaluate;

import io.rollcall.engine.evaluation.Bootstrap;
import io.rollcall.engine.evaluation.Evaluation;
import io.rollcall.jobs.TextTable;
import io.rollcall.jobs.TextTable.Column;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** An evaluation for a terminal of 100 columns. */
final class MetricsPage {
  private static final int NAME = 30;

  private final List<Metrics> metrics;
  private final Evaluation evaluation;
  private final int heldOut;
  private final Adoption adoption;
  private final String path;

  MetricsPage(
      List<Metrics> metrics, Evaluation evaluation, int heldOut, Adoption adoption, String path) {
    this.metrics = metrics;
    this.evaluation = evaluation;
    this.heldOut = heldOut;
    this.adoption = adoption;
    this.path = path;
  }

  List<String> lines() {
    Metrics dense = metrics.get(0);
    List<String> lines = new ArrayList<>();
    lines.add(
        format(
            "%,d documents, %,d decode positions with %d in flight; %,d others calibrated thresholds",
            evaluation.documents(), dense.tokens(), dense.batchSize(), heldOut));
    evaluation
        .leftOut()
        .forEach((why, count) -> lines.add(format("%,d documents left out: %s", count, why)));
    lines.add("");
    lines.add(quality().toString());
    lines.add(cost().toString());
    if (metrics.stream().anyMatch(m -> m.correctionRank() != null)) {
      lines.add("r is the rank of a profile's corrections.");
    }
    lines.add("Intervals hold with 95 % confidence (bootstrap over documents). All figures: " + path);
    lines.add(adoption.sentence());
    return lines;
  }

  private TextTable quality() {
    TextTable table =
        new TextTable(
            1,
            new Column("Configuration", NAME, false),
            new Column("Perplexity", 10, true),
            new Column("Interval", 15, true),
            new Column("Accuracy", 8, true),
            new Column("ROUGE-L", 7, true),
            new Column("Same", 5, true),
            new Column("KL", 6, true));
    for (Metrics m : metrics) {
      table.row(
          name(m),
          format("%.3f", m.perplexity()),
          interval("%.2f - %.2f", m.perplexityInterval(), 1),
          format("%.3f", m.tokenAccuracy()),
          format("%.3f", m.rougeL()),
          format("%.0f %%", 100 * m.sameAsDense()),
          format("%.4f", m.kl()));
    }
    return table;
  }

  private TextTable cost() {
    TextTable table =
        new TextTable(
            1,
            new Column("Configuration", NAME, false),
            new Column("Loss", 7, true),
            new Column("Interval", 13, true),
            new Column("Own", 5, true),
            new Column("Union", 5, true),
            new Column("Bytes", 6, true),
            new Column("Decode tokens/s", 15, true));
    for (Metrics m : metrics) {
      table.row(
          name(m),
          format("%.1f %%", 100 * m.perplexityLoss()),
          interval("%.1f - %.1f", m.perplexityLossInterval(), 100),
          format("%.2f", m.ownDensity()),
          format("%.2f", m.unionDensity()),
          format("%.2f", m.bytesToDense()),
          format("%,.0f", m.decodeTokensPerS()));
    }
    return table;
  }

  /** What sets a configuration apart: where others are alike, its profile's file. */
  private String name(Metrics m) {
    String name = configuration(m);
    boolean alike = metrics.stream().filter(o -> configuration(o).equals(name)).count() > 1;
    if (!alike || m.profile() == null) {
      return name;
    }
    String file = m.profile().substring(m.profile().lastIndexOf('/') + 1);
    return file.length() <= NAME ? file : file.substring(0, NAME - 3) + "...";
  }

  private static String configuration(Metrics m) {
    if (m.sparsity() == 0) {
      return m.method();
    }
    String name = format("%s %s %s", m.method(), m.sparsity(), m.union());
    return m.correctionRank() == null ? name : name + format(", r %d", m.correctionRank());
  }

  private static String interval(String format, Bootstrap.Interval interval, double unit) {
    return format(format, unit * interval.low(), unit * interval.high());
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
