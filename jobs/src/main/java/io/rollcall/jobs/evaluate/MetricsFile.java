package io.rollcall.jobs.evaluate;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.rollcall.engine.UserException;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.Version;
import io.rollcall.jobs.runtime.StorageErrors;
import io.rollcall.jobs.runtime.TextFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** DIR/metrics.json, and DIR/profiles with the thresholds that were calibrated for it. */
public final class MetricsFile {
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .enable(SerializationFeature.INDENT_OUTPUT)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();
  private static final String NAME = "metrics.json";

  private final Path root;
  private final Configuration configuration;
  private final Map<String, Object> fields = new LinkedHashMap<>();

  /** @throws UserException when it cannot be written */
  MetricsFile(String directory, Configuration configuration) {
    try {
      root = new Path(directory);
      if (!root.getFileSystem(configuration).mkdirs(root)) {
        throw new IOException("it cannot be made");
      }
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(
          "cannot use output '" + directory + "': "
              + StorageErrors.line(e) + "; choose another --output", e);
    }
    this.configuration = configuration;
    fields.put("version", Version.current());
  }

  /** Whether evaluate has written its metrics into this directory. */
  public static boolean exists(String directory, Configuration configuration) {
    return TextFile.exists("metrics", new Path(directory, NAME).toString(), configuration);
  }

  /**
   * The configurations that an evaluation compared, dense first.
   *
   * @throws UserException when the directory has no metrics.json or it is not evaluate's
   */
  public static List<Metrics> read(String directory, Configuration configuration) {
    String path = new Path(directory, NAME).toString();
    if (!exists(directory, configuration)) {
      throw new UserException(
          "evaluation '" + directory + "' has no " + NAME + "; give a folder that evaluate wrote");
    }
    try {
      JsonNode configs = JSON.readTree(TextFile.read("metrics", path, configuration)).path("configs");
      return List.of(JSON.treeToValue(configs, Metrics[].class));
    } catch (JsonProcessingException | NullPointerException e) {
      throw new UserException("'" + path + "' is not what evaluate writes; run evaluate again", e);
    }
  }

  String path() {
    return new Path(root, NAME).toString();
  }

  /** Any record, map, number or text; names of a record's fields become snake case. */
  MetricsFile put(String name, Object value) {
    fields.put(name, value);
    return this;
  }

  /** @return where it lies */
  String write() {
    try {
      write(path(), JSON.writeValueAsString(fields) + "\n");
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("metrics that are no JSON", e);
    }
    return path();
  }

  /** @return where it lies */
  String writeProfile(SparsityProfile profile) {
    String name =
        String.format(
            "profiles/%s-%s-%s.json",
            profile.method(), profile.sparsity()[0], profile.union().toString().replace(':', '-'));
    String path = new Path(root, name).toString();
    write(path, profile.toJson() + "\n");
    return path;
  }

  private void write(String path, String text) {
    TextFile.write("output", path, text.getBytes(StandardCharsets.UTF_8), configuration);
  }
}
