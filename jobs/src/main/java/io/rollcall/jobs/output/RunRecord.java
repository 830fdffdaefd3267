package io.rollcall.jobs.output;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializer;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializerBase;
import io.rollcall.engine.UserException;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.Version;
import io.rollcall.jobs.runtime.BackendChoice;
import io.rollcall.kernels.WeightType;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.time.temporal.ChronoUnit;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.apache.spark.package$;
import scala.util.Properties;

/**
 * OUTPUT/runs/RUN_ID.json: what a run was asked for and what became of it. Written when it starts,
 * with status {@code running}, replaced when its rows are complete, with {@code publishing}, and when it
 * ends.
 */
public final class RunRecord {
  private static final DateTimeFormatter SORTABLE =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .addModule(
              new SimpleModule()
                  .addSerializer(Method.class, ToStringSerializer.instance)
                  .addSerializer(UnionStrategy.class, ToStringSerializer.instance)
                  .addSerializer(WriteMode.class, ToStringSerializer.instance)
                  .addSerializer(BackendChoice.class, ToStringSerializer.instance)
                  .addSerializer(WeightType.class, new LowerCase()))
          .build();

  private final OutputDirectory output;
  private final String runId;
  private final Map<String, Object> fields = new LinkedHashMap<>();
  private final Instant started = Instant.now();

  public RunRecord(OutputDirectory output) {
    this.output = output;
    byte[] suffix = new byte[3];
    new SecureRandom().nextBytes(suffix);
    runId = SORTABLE.format(started) + "-" + HexFormat.of().formatHex(suffix);
    fields.put("run_id", runId);
    fields.put("status", "running");
    fields.put("started", started.truncatedTo(ChronoUnit.MILLIS).toString());
    fields.put("finished", null);
    fields.put("wall_seconds", null);
    fields.put("versions", versions());
  }

  /** Sorts by the time the run started; its end is random. */
  public String runId() {
    return runId;
  }

  /** Any record, map, number or text; names become snake case. */
  public RunRecord put(String name, Object value) {
    fields.put(name, value);
    return this;
  }

  /** Writes the record as it stands. */
  public void write() {
    output.writeRecord(runId, json());
  }

  /** Writes the record of a run whose rows are complete and not yet in the tables. */
  public void publishing() {
    put("status", "publishing");
    write();
  }

  /** Says that a run succeeded whose tables were published after its driver had ended. */
  static void recovered(OutputDirectory output, String runId) {
    output
        .readRecord(runId)
        .ifPresent(
            json -> {
              try {
                ObjectNode record = (ObjectNode) JSON.readTree(json);
                record.put("status", "succeeded").remove("error");
                output.writeRecord(runId, JSON.writeValueAsString(record) + "\n");
              } catch (JsonProcessingException | ClassCastException e) {
                throw new UserException("the run record '" + output.record(runId) + "' is no JSON object", e);
              }
            });
  }

  /** Writes the record of a run that is over. */
  public void succeeded() {
    finish("succeeded");
  }

  /** @param error one line */
  public void failed(String error) {
    put("error", error);
    finish("failed");
  }

  /** Since the record was begun. */
  public double wallSeconds() {
    return ChronoUnit.MILLIS.between(started, Instant.now()) / 1e3;
  }

  private void finish(String status) {
    put("status", status);
    put("finished", Instant.now().truncatedTo(ChronoUnit.MILLIS).toString());
    put("wall_seconds", wallSeconds());
    write();
  }

  private String json() {
    try {
      return JSON.writeValueAsString(fields) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a run record that is no JSON", e);
    }
  }

  /** As the command line writes it. */
  private static final class LowerCase extends ToStringSerializerBase {
    LowerCase() {
      super(WeightType.class);
    }

    @Override
    public String valueToString(Object value) {
      return value.toString().toLowerCase(Locale.ROOT);
    }
  }

  private static Map<String, String> versions() {
    Map<String, String> versions = new LinkedHashMap<>();
    versions.put("rollcall", Version.current());
    versions.put("spark", package$.MODULE$.SPARK_VERSION());
    versions.put("scala", Properties.versionNumberString());
    versions.put("java", System.getProperty("java.version"));
    return versions;
  }
}
