package io.rollcall.notebooks;

import io.rollcall.jobs.analysis.Chart;
import io.rollcall.jobs.analysis.DataTable;
import io.rollcall.jobs.analysis.Finding;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.NumericType;
import org.dflib.jjava.jupyter.kernel.BaseKernel;
import org.dflib.jjava.jupyter.kernel.display.DisplayData;
import org.dflib.jjava.jupyter.kernel.display.mime.MIMEType;

/** What the cells of a notebook call. */
public final class Notebook {
  private static final int ROWS = 40;

  private Notebook() {}

  /** A local Spark session that keeps to itself. */
  public static SparkSession spark() {
    return SparkSession.builder()
        .master("local[*]")
        .appName("rollcall notebook")
        .config("spark.ui.enabled", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate();
  }

  /** Shows an answer: its sentences, its pictures, and the figures behind them. */
  public static void show(Finding finding) {
    String mark = finding.estimate() ? "**Estimate.** " : "";
    markdown(mark + escaped(finding.text()));
    for (Chart chart : finding.charts()) {
      picture(chart);
    }
    if (!finding.table().rows().isEmpty()) {
      table(finding.table());
    }
  }

  /** Shows a picture. */
  public static void picture(Chart chart) {
    DisplayData data = new DisplayData(chart.title());
    data.putData(MIMEType.IMAGE_PNG, ChartImage.base64(chart));
    display(data);
  }

  /** Shows the first rows of any query. */
  public static void show(Dataset<Row> query) {
    List<DataTable.Column> columns =
        Arrays.stream(query.schema().fields())
            .map(field -> new DataTable.Column(field.name(), field.dataType() instanceof NumericType))
            .toList();
    List<List<String>> rows =
        query.takeAsList(ROWS).stream()
            .map(
                row ->
                    IntStream.range(0, row.length())
                        .mapToObj(i -> String.valueOf(row.get(i)))
                        .toList())
            .toList();
    table(new DataTable(columns, rows));
  }

  private static void table(DataTable table) {
    StringBuilder text = new StringBuilder();
    line(text, table.columns().stream().map(DataTable.Column::title).toList());
    line(text, table.columns().stream().map(column -> column.number() ? "---:" : ":---").toList());
    table.rows().stream()
        .limit(ROWS)
        .forEach(row -> line(text, row.stream().map(Notebook::escaped).toList()));
    if (table.rows().size() > ROWS) {
      text.append("\n").append(table.rows().size() - ROWS).append(" more rows\n");
    }
    markdown(text.toString());
  }

  private static void line(StringBuilder text, List<String> cells) {
    text.append(cells.stream().collect(Collectors.joining(" | ", "| ", " |\n")));
  }

  private static String escaped(String text) {
    return text.replaceAll("([\\\\|<>*_`])", "\\\\$1");
  }

  private static void markdown(String text) {
    DisplayData data = new DisplayData();
    data.putMarkdown(text);
    display(data);
  }

  private static void display(DisplayData data) {
    BaseKernel.notebookKernel().display(data);
  }
}
