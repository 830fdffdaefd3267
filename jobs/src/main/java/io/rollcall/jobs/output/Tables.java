package io.rollcall.jobs.output;

import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.statistics.LayerStatistics;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.avro.Schema;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.avro.SchemaConverters;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * The two tables of a run. Their columns stand in the Avro schemas of conf/schemas, which are packed
 * beside this class.
 *
 * <p>A task's rows travel in one stream to the sink that writes both tables: each is a pair
 * (generation, sparsity) of which one is null.
 */
public final class Tables {
  public static final String GENERATIONS = "generations";
  public static final String SPARSITY = "sparsity";

  private static final StructType GENERATION_COLUMNS = columns(GENERATIONS);
  private static final StructType SPARSITY_COLUMNS = columns(SPARSITY);

  private Tables() {}

  /** Columns of OUTPUT/generations, the kept input columns last. */
  public static StructType generations(List<StructField> kept) {
    StructType columns = GENERATION_COLUMNS;
    for (StructField field : kept) {
      columns = columns.add(field.name(), field.dataType(), true, field.metadata());
    }
    return columns;
  }

  /** Columns of OUTPUT/sparsity. */
  public static StructType sparsity() {
    return SPARSITY_COLUMNS;
  }

  /** Columns that a kept column may not be called, in lower case. */
  public static Set<String> reserved() {
    return Stream.of(GENERATION_COLUMNS.fieldNames()).collect(Collectors.toUnmodifiableSet());
  }

  /** The stream that the sink takes. */
  public static StructType both(List<StructField> kept) {
    return new StructType()
        .add(GENERATIONS, generations(kept), true)
        .add(SPARSITY, SPARSITY_COLUMNS, true);
  }

  /** What stands in every row of a run. */
  public record Labels(String runId, String model, String method, String union)
      implements java.io.Serializable {}

  /** A row of the stream that goes to the generations table. */
  public static Row generation(Generation generation, Labels labels, List<?> kept) {
    List<Object> values = new ArrayList<>(GENERATION_COLUMNS.length() + kept.size());
    values.add(generation.id());
    values.add(generation.output());
    values.add(generation.finishReason().toString());
    values.add(generation.error());
    values.add(generation.promptTokens());
    values.add(generation.outputTokens());
    values.add(orNull(generation.ownDensity()));
    values.add(orNull(generation.unionDensity()));
    values.add(labels.method());
    values.add(labels.union());
    values.add(labels.model());
    values.add(labels.runId());
    values.addAll(kept);
    return RowFactory.create(RowFactory.create(values.toArray()), null);
  }

  /** A row of the stream that goes to the sparsity table. */
  public static Row sparsity(LayerStatistics layer, Labels labels, int partition) {
    return RowFactory.create(
        null,
        RowFactory.create(
            labels.runId(),
            partition,
            layer.layer(),
            layer.batchSize(),
            layer.steps(),
            layer.sequences(),
            layer.ownDensity(),
            layer.unionDensity(),
            layer.unionHistogram(),
            layer.denseSteps(),
            layer.bytesRead(),
            layer.bytesDense()));
  }

  private static Double orNull(double value) {
    return Double.isNaN(value) ? null : value;
  }

  private static StructType columns(String table) {
    String resource = "/io/rollcall/jobs/schemas/" + table + ".avsc";
    try (InputStream in = Tables.class.getResourceAsStream(resource)) {
      Schema schema = new Schema.Parser().parse(in);
      return (StructType) SchemaConverters.toSqlType(schema).dataType();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
