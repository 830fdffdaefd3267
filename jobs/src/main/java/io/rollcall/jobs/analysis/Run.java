package io.rollcall.jobs.analysis;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.rollcall.engine.UserException;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.kernels.WeightType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.stream.StreamSupport;

/**
 * What OUTPUT/runs says of a run. A record of an earlier version may lack a part, which is then empty.
 *
 * @param status running, publishing, succeeded or failed
 * @param error of a failed run; null otherwise
 * @param started ISO 8601, UTC
 * @param wallSeconds of the whole run; 0 while it runs
 * @param sparsity asked for by batch bucket, the last serves every larger one; empty for dense
 * @param batchSize most sequences in a step
 * @param maxNewTokens most tokens of an answer
 * @param context most positions of a prompt and its answer, as asked for
 * @param crossoverMeasured by its executors; else given
 * @param drift own densities beside the calibration's, by layer
 * @param slowest partitions, slowest first
 * @param configuration what was asked for and what it ran on, by name
 */
public record Run(
    String output,
    String runId,
    String status,
    String error,
    String started,
    double wallSeconds,
    String model,
    WeightType weights,
    Method method,
    String union,
    List<Double> sparsity,
    int batchSize,
    int maxNewTokens,
    int context,
    long rows,
    long errorRows,
    long promptTokens,
    long outputTokens,
    Phase prefill,
    Phase decode,
    List<Device> devices,
    boolean crossoverMeasured,
    List<DriftLayer> drift,
    List<Partition> slowest,
    Map<String, String> configuration) {
  static final String SUCCEEDED = "succeeded";

  private static final ObjectMapper JSON = new ObjectMapper();

  /** Whether its rows are complete and in the tables. */
  public boolean succeeded() {
    return status.equals(SUCCEEDED);
  }

  /** @param seconds busy, summed over tasks */
  public record Phase(long tokens, double seconds) {}

  /** @param crossover [bucket][lowest and highest measured]; empty for dense */
  public record Device(String name, long tasks, List<List<Double>> crossover) {}

  /** @param bound of the deviation either way; null where the profile has no spread */
  public record DriftLayer(
      int layer, double ownDensity, double calibrated, double deviation, Double bound) {
    /** How much of its bound the deviation takes; NaN without a bound. */
    public double ofBound() {
      return bound == null || bound == 0 ? Double.NaN : Math.abs(deviation) / bound;
    }
  }

  /** A task and how long it kept its device busy. */
  public record Partition(
      String runId,
      int partition,
      String host,
      long rows,
      long outputTokens,
      double prefillSeconds,
      double decodeSeconds) {
    public double seconds() {
      return prefillSeconds + decodeSeconds;
    }
  }

  /** @throws UserException when it is no run record */
  static Run parse(String output, String json) {
    try {
      JsonNode node = JSON.readTree(json);
      if (!node.hasNonNull("run_id")) {
        throw new UserException("output '" + output + "' has a file in runs that is no run record");
      }
      return of(output, node);
    } catch (JsonProcessingException | IllegalArgumentException e) {
      throw new UserException(
          "output '" + output + "' has a run record that cannot be read: " + oneLine(e), e);
    }
  }

  private static Run of(String output, JsonNode node) {
    JsonNode asked = node.path("configuration");
    JsonNode decoding = asked.path("decoding");
    JsonNode counts = node.path("counts");
    String runId = node.path("run_id").asText();
    return new Run(
        output,
        runId,
        node.path("status").asText(),
        node.hasNonNull("error") ? node.path("error").asText() : null,
        node.path("started").asText(),
        node.path("wall_seconds").asDouble(),
        node.path("model").asText(),
        WeightType.valueOf(
            asked.path("model").path("weights").asText("bf16").toUpperCase(Locale.ROOT)),
        Method.parse(node.path("method").asText()),
        node.path("union").asText(),
        list(node.path("sparsity")).stream().map(JsonNode::asDouble).toList(),
        decoding.path("batch_size").asInt(),
        decoding.path("max_new_tokens").asInt(),
        decoding.path("context").asInt(),
        counts.path("rows").asLong(),
        counts.path("finish_reasons").path("error").asLong(),
        node.path("prompt_tokens").asLong(),
        node.path("output_tokens").asLong(),
        phase(node.path("prefill")),
        phase(node.path("decode")),
        list(node.path("devices")).stream().map(Run::device).toList(),
        !asked.hasNonNull("crossover"),
        list(node.path("drift").path("layers")).stream().map(Run::drift).toList(),
        list(node.path("slowest_partitions")).stream().map(p -> partition(runId, p)).toList(),
        configuration(node));
  }

  /** Prefill and decode seconds of all tasks together: what the devices were paid for. */
  public double busySeconds() {
    return prefill.seconds() + decode.seconds();
  }

  /** Asked for at this batch size; 0 for dense. */
  public double sparsity(int batch) {
    return sparsity.isEmpty()
        ? 0
        : sparsity.get(Math.min(BatchBuckets.of(batch), sparsity.size() - 1));
  }

  /**
   * Union density from which layers ran dense in steps of this size: the mean of what its devices
   * measured or were given. Empty where there was none or they never cross.
   */
  public OptionalDouble crossover(int batch) {
    return devices.stream()
        .filter(device -> !device.crossover().isEmpty())
        .mapToDouble(
            device -> {
              List<List<Double>> buckets = device.crossover();
              List<Double> range =
                  buckets.get(Math.min(BatchBuckets.of(batch), buckets.size() - 1));
              return (range.get(0) + range.get(1)) / 2;
            })
        .filter(density -> density <= 1)
        .average();
  }

  private static Phase phase(JsonNode node) {
    return new Phase(node.path("tokens").asLong(), node.path("seconds").asDouble());
  }

  private static Device device(JsonNode node) {
    return new Device(
        node.path("name").asText(),
        node.path("tasks").asLong(),
        list(node.path("crossover")).stream()
            .map(range -> list(range).stream().map(JsonNode::asDouble).toList())
            .toList());
  }

  private static DriftLayer drift(JsonNode node) {
    return new DriftLayer(
        node.path("layer").asInt(),
        node.path("own_density").asDouble(),
        node.path("calibrated").asDouble(),
        node.path("deviation").asDouble(),
        node.hasNonNull("bound") ? node.path("bound").asDouble() : null);
  }

  private static Partition partition(String runId, JsonNode node) {
    return new Partition(
        runId,
        node.path("partition").asInt(),
        node.path("host").asText(),
        node.path("rows").asLong(),
        node.path("output_tokens").asLong(),
        node.path("prefill_seconds").asDouble(),
        node.path("decode_seconds").asDouble());
  }

  private static Map<String, String> configuration(JsonNode node) {
    Map<String, String> values = new LinkedHashMap<>();
    values.put("status", node.path("status").asText());
    values.put("started", node.path("started").asText());
    for (String name :
        List.of("model", "model_digest", "template", "method", "union", "sparsity", "profile_digest")) {
      put(values, name, node.path(name));
    }
    flatten(values, "", node.path("configuration"));
    put(values, "partitions run", node.path("partitions"));
    list(node.path("devices"))
        .forEach(
            device ->
                values.merge("device", device.path("name").asText(), (a, b) -> a + "; " + b));
    node.path("versions").fields().forEachRemaining(v -> put(values, v.getKey() + " version", v.getValue()));
    return values;
  }

  private static void flatten(Map<String, String> values, String prefix, JsonNode node) {
    node.fields()
        .forEachRemaining(
            field -> {
              String name = prefix + field.getKey();
              if (field.getValue().isObject()) {
                flatten(values, name + " ", field.getValue());
              } else {
                put(values, name, field.getValue());
              }
            });
  }

  private static void put(Map<String, String> values, String name, JsonNode value) {
    if (value.isMissingNode() || value.isNull()) {
      return;
    }
    String text =
        value.isArray()
            ? String.join(", ", list(value).stream().map(JsonNode::asText).toList())
            : value.asText();
    if (!text.isEmpty()) {
      values.put(name.replace('_', ' '), text);
    }
  }

  private static List<JsonNode> list(JsonNode node) {
    List<JsonNode> elements = new ArrayList<>();
    StreamSupport.stream(node.spliterator(), false).forEach(elements::add);
    return elements;
  }

  private static String oneLine(Exception e) {
    return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
  }
}
