package io.rollcall.jobs.output;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.hadoop.mapreduce.task.TaskAttemptContextImpl;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.execution.datasources.OutputWriter;
import org.apache.spark.sql.execution.datasources.OutputWriterFactory;
import org.apache.spark.sql.execution.datasources.parquet.ParquetWriteSupport;
import org.apache.spark.sql.types.StructType;

/** One task attempt's two Parquet files. Both are made at once, so that each has its schema. */
final class TablesWriter extends OutputWriter {
  private static final int GENERATION = 0;
  private static final int STATISTICS = 1;

  private final OutputWriter generations;
  private final OutputWriter sparsity;
  private final int generationColumns;
  private final int sparsityColumns;

  TablesWriter(
      OutputWriterFactory parquet,
      String path,
      StructType generationSchema,
      StructType sparsitySchema,
      TaskAttemptContext context) {
    generations = open(parquet, path, Tables.GENERATIONS, generationSchema, context);
    sparsity = open(parquet, path, Tables.SPARSITY, sparsitySchema, context);
    generationColumns = generationSchema.length();
    sparsityColumns = sparsitySchema.length();
  }

  private static OutputWriter open(
      OutputWriterFactory parquet,
      String path,
      String table,
      StructType schema,
      TaskAttemptContext context) {
    Path file = new Path(path);
    // Parquet's write support takes its schema from the configuration: each file needs its own.
    Configuration configuration = new Configuration(context.getConfiguration());
    configuration.set(ParquetWriteSupport.SPARK_ROW_SCHEMA(), schema.json());
    return parquet.newInstance(
        new Path(new Path(file.getParent(), table), file.getName()).toString(),
        schema,
        new TaskAttemptContextImpl(configuration, context.getTaskAttemptID()));
  }

  @Override
  public void write(InternalRow row) {
    if (!row.isNullAt(GENERATION)) {
      generations.write(row.getStruct(GENERATION, generationColumns));
    }
    if (!row.isNullAt(STATISTICS)) {
      sparsity.write(row.getStruct(STATISTICS, sparsityColumns));
    }
  }

  @Override
  public void close() {
    try {
      generations.close();
    } finally {
      sparsity.close();
    }
  }

  /** The file whose size Spark's write metrics count. */
  @Override
  public String path() {
    return generations.path();
  }
}
