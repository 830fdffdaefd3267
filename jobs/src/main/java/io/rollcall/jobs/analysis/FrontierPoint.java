package io.rollcall.jobs.analysis;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.rollcall.engine.UserException;
import io.rollcall.jobs.runtime.TextFile;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/**
 * What one configuration reads and loses, with batchSize sequences in flight at every counted step.
 *
 * @param recovery whether with corrections, whose bytes count
 * @param sparsity of all layers, or the mean where they differ; 0 for dense
 * @param profile plain name of a given profile; null for thresholds of one sparsity in all layers
 * @param bytesToDenseBf16 feed-forward bytes read, to those of dense in bf16
 * @param bytesToDenseSamePrecision likewise, to dense in the same weights
 * @param loss rise of perplexity over dense in bf16, with its interval of 95 %
 * @param density of the union
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record FrontierPoint(
    int batchSize,
    String method,
    String union,
    String weights,
    boolean recovery,
    double sparsity,
    String profile,
    double bytesToDenseBf16,
    double bytesToDenseSamePrecision,
    double loss,
    double lossLow,
    double lossHigh,
    double density) {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
          .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  /** Whether both are of the same configuration, whatever was measured. */
  public boolean sameAs(FrontierPoint other) {
    return configuration().equals(other.configuration());
  }

  private List<Object> configuration() {
    return List.of(
        batchSize, method, union, weights, recovery, sparsity, profile == null ? "" : profile);
  }

  /** A file's points, one a line. */
  public static List<FrontierPoint> read(String file, Configuration configuration) {
    try {
      return List.of(
          JSON.readValue(
              TextFile.read("frontier", file, configuration), FrontierPoint[].class));
    } catch (JsonProcessingException e) {
      throw new UserException(
          "'" + file + "' is not a frontier: " + e.getOriginalMessage()
              + "; write one with notebooks/bin/frontier",
          e);
    }
  }

  /** Writes a file of points over the one there. */
  public static void write(List<FrontierPoint> points, String file, Configuration configuration) {
    StringBuilder lines = new StringBuilder();
    try {
      for (FrontierPoint point : points) {
        lines.append(lines.isEmpty() ? "[\n" : ",\n").append(JSON.writeValueAsString(point));
      }
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
    TextFile.write(
        "frontier", file, lines.append("\n]\n").toString().getBytes(StandardCharsets.UTF_8), configuration);
  }
}
