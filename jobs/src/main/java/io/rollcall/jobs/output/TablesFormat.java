package io.rollcall.jobs.output;

import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.execution.datasources.FileFormat;
import org.apache.spark.sql.execution.datasources.OutputWriter;
import org.apache.spark.sql.execution.datasources.OutputWriterFactory;
import org.apache.spark.sql.execution.datasources.parquet.ParquetFileFormat;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructType;
import scala.Option;
import scala.collection.immutable.Map;
import scala.collection.immutable.Seq;

/**
 * Writes the stream of {@link Tables#both} as two Parquet tables in one write.
 *
 * <p>A task's two files lie in the directory of its attempt, below {@code generations/} and {@code
 * sparsity/}. Spark's committer takes over or drops that directory as a whole: an attempt that fails,
 * is killed or loses to a speculative copy leaves nothing in either table.
 */
public final class TablesFormat implements FileFormat {
  private final ParquetFileFormat parquet = new ParquetFileFormat();

  @Override
  public Option<StructType> inferSchema(
      SparkSession session, Map<String, String> options, Seq<FileStatus> files) {
    throw new UnsupportedOperationException(
        "read generations and sparsity as the Parquet tables they are");
  }

  @Override
  public OutputWriterFactory prepareWrite(
      SparkSession session, Job job, Map<String, String> options, StructType stream) {
    StructType generations = (StructType) stream.apply(Tables.GENERATIONS).dataType();
    StructType sparsity = (StructType) stream.apply(Tables.SPARSITY).dataType();
    return new Factory(
        parquet.prepareWrite(session, job, options, generations), generations, sparsity);
  }

  @Override
  public boolean supportDataType(DataType type) {
    return parquet.supportDataType(type);
  }

  @Override
  public String toString() {
    return "Rollcall tables";
  }

  private static final class Factory extends OutputWriterFactory {
    private final OutputWriterFactory parquet;
    private final StructType generations;
    private final StructType sparsity;

    Factory(OutputWriterFactory parquet, StructType generations, StructType sparsity) {
      this.parquet = parquet;
      this.generations = generations;
      this.sparsity = sparsity;
    }

    @Override
    public String getFileExtension(TaskAttemptContext context) {
      return parquet.getFileExtension(context);
    }

    @Override
    public OutputWriter newInstance(String path, StructType stream, TaskAttemptContext context) {
      return new TablesWriter(parquet, path, generations, sparsity, context);
    }
  }
}
