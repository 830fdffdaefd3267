package io.rollcall.jobs.demo;

import io.rollcall.engine.generation.PhaseTimes;
import io.rollcall.jobs.TextTable;
import io.rollcall.jobs.TextTable.Column;
import io.rollcall.jobs.generate.RunTotals;
import java.util.Locale;

/** The demo's result for a terminal of 100 columns. */
final class DemoPage {
  private final DemoResult demo;
  private final RunTotals totals;
  private final StringBuilder page = new StringBuilder();

  DemoPage(DemoResult demo) {
    this.demo = demo;
    this.totals = demo.run().totals();
  }

  @Override
  public String toString() {
    page.setLength(0);
    line(
        "%s summarised %,d entries of Spark's configuration reference in %.0f s.",
        demo.model(), totals.rows(), demo.run().wallSeconds());
    preview();
    savings();
    comparison();
    next();
    return page.toString();
  }

  private void preview() {
    TextTable table =
        new TextTable(2, new Column("Text", 58, false), new Column("Summary", 36, false));
    demo.preview().forEach(row -> table.row(row.document(), row.summary()));
    page.append('\n').append(table);
  }

  private void savings() {
    line(
        "\nWhat sparsity saved, by layer (%s, union %s, up to %d sequences together):\n",
        demo.run().profile().method(), demo.run().profile().union(), demo.batchSize());
    TextTable table =
        new TextTable(
            1,
            new Column("Layer", 5, true),
            new Column("Own density", 11, true),
            new Column("Union density", 13, true),
            new Column("Weights read", 12, true),
            new Column("Dense", 9, true),
            new Column("Saved", 6, true),
            new Column("Dense steps", 11, true));
    for (RunTotals.LayerTotals layer : totals.layers()) {
      table.row(
          layer.layer(),
          number(layer.meanOwnDensity()),
          number(layer.meanUnionDensity()),
          gigabytes(layer.bytesRead()),
          gigabytes(layer.bytesDense()),
          saved(layer.bytesRead(), layer.bytesDense()),
          percent((double) layer.denseSteps() / layer.steps()));
    }
    table.row(
        "all",
        "",
        number(totals.unionDensity()),
        gigabytes(totals.bytesRead()),
        gigabytes(totals.bytesDense()),
        saved(totals.bytesRead(), totals.bytesDense()),
        "");
    page.append(table);
  }

  private void comparison() {
    Comparison compared = demo.comparison();
    line("\nDense beside sparse, on %d of the entries:\n", compared.prompts());
    TextTable table =
        new TextTable(
            1,
            new Column("Method", 12, false),
            new Column("Prefill tokens/s", 16, true),
            new Column("Decode tokens/s", 15, true),
            new Column("Weights read", 12, true),
            new Column("Same summaries", 14, true));
    speed(table, "dense", compared.dense(), percent(1), "");
    speed(
        table,
        demo.run().profile().method().toString(),
        compared.sparse(),
        percent(compared.read()),
        percent(compared.same()));
    page.append(table);
  }

  private void next() {
    String output = demo.run().output();
    line("\nTables (Parquet; the run's record is JSON):");
    line("  %s/generations  a row an entry: summary, tokens, densities", output);
    line("  %s/sparsity     what each layer called, loaded and saved", output);
    line("  %s/runs/%s.json", output, demo.run().runId());
    line("\nNext:");
    line("  jobs/bin/rollcall generate --input %s --id-column key \\", demo.documents());
    line("      --prompt-column document --output mine --sparsity 0.5 --union own");
    line("  jobs/bin/rollcall generate --help");
  }

  private static void speed(
      TextTable table, String method, PhaseTimes times, String read, String same) {
    table.row(
        method,
        String.format(Locale.ROOT, "%,.0f", times.prefillTokensPerSecond()),
        String.format(Locale.ROOT, "%,.0f", times.decodeTokensPerSecond()),
        read,
        same);
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.2f", value);
  }

  private static String percent(double share) {
    return String.format(Locale.ROOT, "%.0f %%", 100 * share);
  }

  private static String saved(long read, long dense) {
    return dense == 0 ? "" : percent((double) (dense - read) / dense);
  }

  private static String gigabytes(long bytes) {
    return String.format(Locale.ROOT, "%.2f GB", bytes / 1e9);
  }

  private void line(String format, Object... values) {
    page.append(String.format(Locale.ROOT, format, values)).append('\n');
  }
}
