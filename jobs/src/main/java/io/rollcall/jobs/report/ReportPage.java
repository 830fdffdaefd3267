package io.rollcall.jobs.report;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializerProvider;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.StdSerializer;
import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.interpret.RenderResult;
import io.rollcall.jobs.Version;
import io.rollcall.jobs.analysis.Chart;
import io.rollcall.jobs.analysis.DataTable;
import io.rollcall.jobs.analysis.Finding;
import io.rollcall.jobs.analysis.Numbers;
import io.rollcall.jobs.analysis.Run;
import io.rollcall.jobs.analysis.Savings;
import io.rollcall.jobs.analysis.SavingsFindings;
import io.rollcall.jobs.evaluate.Metrics;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The page: report.html filled in, with its styles, its script and the chart library inside. */
final class ReportPage {
  private static final String RESOURCES = "/io/rollcall/jobs/report/";

  private static final ObjectMapper JSON =
      JsonMapper.builder().addModule(new SimpleModule().addSerializer(new FiniteNumbers())).build();

  private final Savings savings;
  private final SavingsFindings findings;
  private final Savings.Totals totals;
  private final List<Metrics> evaluated;

  ReportPage(Savings savings, SavingsFindings findings, List<Metrics> evaluated) {
    this.savings = savings;
    this.findings = findings;
    this.totals = savings.totals();
    this.evaluated = evaluated;
  }

  /** One line: what was saved. */
  String headline() {
    return Double.isNaN(totals.saved()) || totals.bytesRead() == totals.bytesDense()
        ? "No feed-forward bytes were saved"
        : Numbers.percent(totals.saved()) + " of the feed-forward bytes saved";
  }

  /** One line: what ran. */
  String lead() {
    List<String> labels = savings.runs().stream().map(savings::label).distinct().toList();
    List<String> models = savings.runs().stream().map(Run::model).distinct().toList();
    int runs = savings.runs().size();
    return Numbers.format(
        "%s with %s, %s, on %s.",
        runs == 1 ? "One run" : runs + " runs",
        String.join(" and ", models),
        String.join(" and ", labels),
        String.join(
            " and ",
            savings.runs().stream()
                .flatMap(run -> run.devices().stream())
                .map(Run.Device::name)
                .distinct()
                .toList()));
  }

  String html() {
    List<Chart> charts = new ArrayList<>();
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("title", "Rollcall report: " + headline());
    values.put("headline", headline());
    values.put("lead", lead());
    values.put("tiles", tiles());
    values.put("notes", notes());
    values.put(
        "findings", findings.all().stream().map(finding -> finding(finding, charts)).toList());
    values.put("tables", List.of(slowest(), errors()));
    values.put("runs", savings.runs().stream().map(this::configuration).toList());
    values.put(
        "footer",
        Numbers.format(
            "Made by Rollcall %s at %s from the tables of %s. Charts: Apache ECharts %s.",
            Version.current(),
            Instant.now().truncatedTo(ChronoUnit.SECONDS),
            String.join(", ", savings.runs().stream().map(Run::output).distinct().toList()),
            Version.echarts()));
    values.put("charts", json(charts));
    values.put("css", resource(RESOURCES + "report.css"));
    values.put("script", resource(RESOURCES + "report.js"));
    values.put(
        "echarts",
        resource(
            "/META-INF/resources/_static/echarts/"
                + Version.echarts()
                + "/dist/echarts.common.min.js"));
    return render(resource(RESOURCES + "report.html"), values);
  }

  private List<Map<String, String>> tiles() {
    List<Map<String, String>> tiles = new ArrayList<>();
    List<Run> runs =
        savings.runs().stream().filter(Run::succeeded).toList();
    double wall = runs.stream().mapToDouble(Run::wallSeconds).sum();
    double busy = runs.stream().mapToDouble(Run::busySeconds).sum();
    tiles.add(
        tile(
            "Tokens",
            Numbers.count(totals.promptTokens() + totals.outputTokens()),
            Numbers.format(
                "%,d read, %,d generated, %,d rows",
                totals.promptTokens(), totals.outputTokens(), totals.rows())));
    tiles.add(
        tile("Time", Numbers.seconds(wall), Numbers.seconds(busy) + " busy, summed over tasks"));
    tiles.add(
        tile(
            "Bytes saved",
            Double.isNaN(totals.saved()) ? "none" : Numbers.percent(totals.saved()),
            Numbers.format(
                "%s read, dense %s",
                Numbers.size(totals.bytesRead()), Numbers.size(totals.bytesDense()))));
    tiles.add(
        findings
            .loss()
            .map(
                loss ->
                    tile(
                        "Rise of perplexity",
                        Numbers.finePercent(loss.perplexityLoss()),
                        Numbers.format(
                            "%s of answers are dense's", Numbers.percent(loss.sameAsDense()))))
            .orElseGet(
                () ->
                    tile(
                        "Quality",
                        "not known",
                        evaluated.isEmpty()
                            ? "no evaluation was given"
                            : "not evaluated as it ran")));
    if (totals.errorRows() > 0) {
      tiles.add(
          tile(
              "Error rows",
              Numbers.count(totals.errorRows()),
              Numbers.finePercent((double) totals.errorRows() / totals.rows()) + " of the rows"));
    }
    return tiles;
  }

  private static Map<String, String> tile(String name, String value, String note) {
    return Map.of("name", name, "value", value, "note", note);
  }

  private List<String> notes() {
    return savings.runs().stream()
        .filter(run -> !run.succeeded())
        .map(
            run ->
                "Run " + run.runId() + " is " + run.status()
                    + (run.error() == null ? "" : ": " + run.error())
                    + "; its figures are not in here.")
        .toList();
  }

  private static Map<String, Object> finding(Finding finding, List<Chart> charts) {
    List<Map<String, Object>> drawn = new ArrayList<>();
    for (Chart chart : finding.charts()) {
      drawn.add(Map.of("title", chart.title(), "index", charts.size()));
      charts.add(chart);
    }
    Map<String, Object> values = new LinkedHashMap<>(table(finding.table()));
    values.put("id", finding.id());
    values.put("question", finding.question());
    values.put("text", finding.text());
    values.put("estimate", finding.estimate());
    values.put("charts", drawn);
    return values;
  }

  private Map<String, Object> slowest() {
    return list(
        "slowest",
        "Slowest partitions",
        findings.slowest(),
        "Seconds are those in which the partition's task kept its device busy.",
        "These runs' records do not tell partitions apart.");
  }

  private Map<String, Object> errors() {
    return list(
        "errors",
        "Errors by kind",
        findings.errors(),
        "Messages that differ in numbers alone count together.",
        "Every prompt was answered.");
  }

  private Map<String, Object> list(
      String id, String title, DataTable table, String text, String whereEmpty) {
    Map<String, Object> values = new LinkedHashMap<>(table(table));
    values.put("id", id);
    values.put("title", title);
    values.put("text", table.rows().isEmpty() ? whereEmpty : text);
    return values;
  }

  private Map<String, Object> configuration(Run run) {
    return Map.of(
        "id",
        run.runId(),
        "label",
        savings.label(run),
        "settings",
        run.configuration().entrySet().stream()
            .map(entry -> Map.of("name", entry.getKey(), "value", entry.getValue()))
            .toList());
  }

  private static Map<String, Object> table(DataTable table) {
    return Map.of(
        "columns",
        table.columns().stream()
            .map(column -> Map.of("title", column.title(), "number", column.number()))
            .toList(),
        "rows",
        table.rows());
  }

  private static String render(String template, Map<String, Object> values) {
    // values hold what models and users wrote: it is never interpreted
    JinjavaConfig config =
        JinjavaConfig.newBuilder()
            .withNestedInterpretationEnabled(false)
            .withMaxRenderDepth(20)
            .withFailOnUnknownTokens(true)
            .build();
    RenderResult result = new Jinjava(config).renderForResult(template, values);
    if (result.hasErrors()) {
      throw new IllegalStateException("the report's template: " + result.getErrors().get(0));
    }
    return result.getOutput();
  }

  /** For a script element, which a less-than sign could end. */
  private static String json(List<Chart> charts) {
    try {
      return JSON.writeValueAsString(charts).replace("<", "\\u003c");
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("charts that are no JSON", e);
    }
  }

  private static String resource(String name) {
    try (InputStream in = ReportPage.class.getResourceAsStream(name)) {
      if (in == null) {
        throw new IllegalStateException("the class path lacks " + name);
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** JSON has no NaN: null is a gap. */
  private static final class FiniteNumbers extends StdSerializer<double[]> {
    FiniteNumbers() {
      super(double[].class);
    }

    @Override
    public void serialize(double[] values, JsonGenerator out, SerializerProvider provider)
        throws IOException {
      out.writeStartArray();
      for (double value : values) {
        if (Double.isFinite(value)) {
          out.writeNumber(value);
        } else {
          out.writeNull();
        }
      }
      out.writeEndArray();
    }
  }
}
