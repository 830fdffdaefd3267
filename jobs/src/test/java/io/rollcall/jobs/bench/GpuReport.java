package io.rollcall.jobs.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Tables of what {@code bin/gpu-check} measured: its argument is a folder of JSON lines, each with the
 * part it belongs to. A figure beside a goal is marked where it misses.
 */
public final class GpuReport {
  private static final ObjectMapper JSON = new ObjectMapper();

  /** @param goal of the line, or NaN; the smaller figure is the better one unless {@code atLeast} */
  private record Column(
      String label, String field, String format, boolean atLeast, Function<JsonNode, Double> goal) {
    static Column of(String label, String field, String format) {
      return new Column(label, field, format, false, line -> Double.NaN);
    }

    Column atMost(Function<JsonNode, Double> most) {
      return new Column(label, field, format, false, most);
    }

    Column atLeast(double least) {
      return new Column(label, field, format, true, line -> least);
    }

    String cell(JsonNode line) {
      JsonNode value = line.path(field);
      if (value.isMissingNode() || value.isNull()) {
        return "";
      }
      if (!value.isNumber()) {
        return value.asText();
      }
      String text = String.format(Locale.ROOT, format, value.asDouble());
      double limit = goal.apply(line);
      boolean missed = atLeast ? value.asDouble() < limit : value.asDouble() > limit;
      return missed ? text + " !" : text;
    }
  }

  private static final Column ENGINE = Column.of("engine", "engine", "");
  private static final Column WEIGHTS = Column.of("weights", "weights", "");
  private static final Column METHOD = Column.of("method", "method", "");
  private static final Column SPARSITY = Column.of("sparsity", "sparsity", "%.1f");
  private static final Column BATCH = Column.of("batch", "batch_size", "%.0f");
  private static final Column DENSITY = Column.of("density", "union_density", "%.2f");
  private static final Column MICROS = Column.of("us", "micros", "%,.1f");
  private static final Column FLOOR = Column.of("us of bytes", "micros_of_bytes", "%,.1f");
  private static final Column TOKENS = Column.of("tokens/s", "tokens_per_s", "%,.0f");

  /** Quantised weights are dequantised on the way: their goal is looser. */
  private static double feedForwardGoal(JsonNode line) {
    boolean dense = line.path("method").asText().equals("dense") || line.path("union_density").asDouble() >= 1;
    return dense ? Double.NaN : line.path("weights").asText().equals("f16") ? 1.15 : 1.25;
  }

  private static double decodeGoal(JsonNode line) {
    boolean ours = line.path("engine").asText("rollcall").equals("rollcall");
    return ours && line.path("method").asText().equals("dense") ? 1.15 : Double.NaN;
  }

  private static final Map<String, List<Column>> PARTS = new LinkedHashMap<>();

  static {
    PARTS.put(
        "feed-forward",
        List.of(
            WEIGHTS, METHOD, BATCH, DENSITY, MICROS, FLOOR,
            Column.of("to bytes", "ratio", "%.2f").atMost(GpuReport::feedForwardGoal),
            Column.of("us of cuBLAS", "cublas_micros", "%,.1f"),
            Column.of("to cuBLAS", "to_cublas", "%.2f").atMost(line -> 1.10)));
    PARTS.put(
        "parts",
        List.of(
            WEIGHTS, Column.of("kernels", "kernels", ""), BATCH, MICROS, FLOOR,
            Column.of("us of cuBLAS", "cublas_micros", "%,.1f")));
    PARTS.put(
        "decode",
        List.of(
            ENGINE, WEIGHTS, METHOD, SPARSITY, BATCH, Column.of("context", "context", "%.0f"), DENSITY,
            MICROS, FLOOR, Column.of("to bytes", "ratio", "%.2f").atMost(GpuReport::decodeGoal), TOKENS,
            Column.of("to dense", "to_dense", "%.2f"), Column.of("error", "error", "")));
    PARTS.put(
        "prefill",
        List.of(
            ENGINE, WEIGHTS, BATCH, Column.of("prompt", "tokens", "%,.0f"),
            Column.of("ms", "millis", "%,.2f"), TOKENS,
            Column.of("of matrix rate", "share_of_matrix_rate", "%.2f").atLeast(0.6),
            Column.of("by", "gemm", "")));
    PARTS.put(
        "batching",
        List.of(
            WEIGHTS, BATCH, Column.of("prompt+answer", "lengths", ""), TOKENS,
            Column.of("prefill s", "prefill_seconds", "%.2f"),
            Column.of("decode s", "decode_seconds", "%.2f"),
            Column.of("at once", "at_once_tokens_per_s", "%,.0f"),
            Column.of("prefill s", "at_once_prefill_seconds", "%.2f"),
            Column.of("decode s", "at_once_decode_seconds", "%.2f"),
            Column.of("ratio", "ratio", "%.2f")));
    PARTS.put(
        "generate",
        List.of(
            METHOD, Column.of("prompts", "prompts", "%,.0f"), BATCH,
            Column.of("tokens/s", "tokens_per_s", "%,.0f"),
            Column.of("engine's", "engine_tokens_per_s", "%,.0f"),
            Column.of("ratio", "ratio", "%.2f").atLeast(0.95),
            Column.of("least", "least_ratio", "%.2f"),
            Column.of("greatest", "greatest_ratio", "%.2f"),
            Column.of("tokens/s of wall", "job_tokens_per_wall_s", "%,.0f"),
            Column.of("error rows", "error_rows", "%.0f"), DENSITY));
  }

  private GpuReport() {}

  public static void main(String[] arguments) throws IOException {
    Map<String, List<JsonNode>> lines = new LinkedHashMap<>();
    try (Stream<Path> files = Files.list(Path.of(arguments[0]))) {
      for (Path file : files.filter(f -> f.toString().endsWith(".jsonl")).sorted().toList()) {
        for (String line : Files.readAllLines(file)) {
          if (line.startsWith("{")) {
            JsonNode node = JSON.readTree(line);
            lines.computeIfAbsent(node.path("part").asText(), part -> new ArrayList<>()).add(node);
          }
        }
      }
    }
    lines.getOrDefault("device", List.of()).forEach(GpuReport::device);
    PARTS.forEach(
        (part, columns) -> {
          if (lines.containsKey(part)) {
            System.out.printf("%n%s%n", part);
            print(columns, lines.get(part));
          }
        });
    System.out.println("\n! beside a figure: it misses its goal");
  }

  private static void device(JsonNode line) {
    StringBuilder text = new StringBuilder(line.path("device").asText());
    line.fields()
        .forEachRemaining(
            field -> {
              if (!List.of("part", "device").contains(field.getKey())) {
                JsonNode value = field.getValue();
                text.append(", ").append(field.getKey().replace('_', ' ')).append(' ');
                text.append(
                    value.isFloatingPointNumber()
                        ? String.format(Locale.ROOT, "%.2f", value.asDouble())
                        : value.isTextual() ? value.asText() : value.toString());
              }
            });
    System.out.println(text);
  }

  private static void print(List<Column> columns, List<JsonNode> lines) {
    List<Column> shown =
        columns.stream()
            .filter(column -> lines.stream().anyMatch(line -> !column.cell(line).isEmpty()))
            .toList();
    int[] widths =
        shown.stream()
            .mapToInt(
                column ->
                    Math.max(
                        column.label().length(),
                        lines.stream().mapToInt(line -> column.cell(line).length()).max().orElse(0)))
            .toArray();
    StringBuilder table = new StringBuilder();
    row(table, shown.stream().map(Column::label).toList(), widths);
    for (JsonNode line : lines) {
      row(table, shown.stream().map(column -> column.cell(line)).toList(), widths);
    }
    System.out.print(table);
  }

  private static void row(StringBuilder table, List<String> cells, int[] widths) {
    StringBuilder row = new StringBuilder();
    for (int i = 0; i < widths.length; i++) {
      row.append("  ").append(" ".repeat(widths[i] - cells.get(i).length())).append(cells.get(i));
    }
    table.append(row.toString().stripTrailing()).append('\n');
  }
}
