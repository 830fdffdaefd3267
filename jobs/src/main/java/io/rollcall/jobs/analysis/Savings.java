package io.rollcall.jobs.analysis;

import static org.apache.spark.sql.functions.broadcast;
import static org.apache.spark.sql.functions.col;

import io.rollcall.engine.UserException;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.statistics.SparsityCounters;
import io.rollcall.jobs.output.OutputDirectory;
import io.rollcall.jobs.output.Tables;
import io.rollcall.kernels.WeightType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * The tables of one or more OUTPUT folders and questions to them, in Spark SQL. Runs that did the same
 * (model, precision, method, union) count together under one label, {@code m-countdown shared} say.
 *
 * <pre>{@code
 * Savings savings = Savings.open(spark, List.of("summaries"));
 * savings.layers().forEach(layer -> …);
 * savings.sql("SELECT label, count(*) FROM generations JOIN runs USING (run_id) GROUP BY label");
 * }</pre>
 *
 * <p>The views {@code generations} and {@code sparsity}, of runs that succeeded, and {@code runs}, of all,
 * stay with the session until the next is opened.
 */
public final class Savings {
  private static final StructType RUNS =
      new StructType()
          .add("run_id", DataTypes.StringType)
          .add("label", DataTypes.StringType)
          .add("output", DataTypes.StringType)
          .add("status", DataTypes.StringType)
          .add("started", DataTypes.StringType)
          .add("model", DataTypes.StringType)
          .add("weights", DataTypes.StringType)
          .add("method", DataTypes.StringType)
          .add("union", DataTypes.StringType)
          .add("batch_size", DataTypes.IntegerType);

  private final SparkSession spark;
  private final List<Run> runs;
  private final Map<String, String> labels;

  private Savings(SparkSession spark, List<Run> runs) {
    this.spark = spark;
    this.runs = runs;
    boolean oneModel = runs.stream().map(Run::model).distinct().count() == 1;
    boolean oneType = runs.stream().map(Run::weights).distinct().count() == 1;
    this.labels =
        runs.stream()
            .collect(Collectors.toMap(Run::runId, run -> label(run, oneModel, oneType), (a, b) -> a));
  }

  /**
   * Reads the run records and opens the tables.
   *
   * @param outputs folders that generate or demo wrote, on any Hadoop file system
   * @throws UserException for a folder without runs, or when no run in them has written a row
   */
  public static Savings open(SparkSession spark, List<String> outputs) {
    Configuration configuration = spark.sessionState().newHadoopConf();
    List<Run> runs = new ArrayList<>();
    List<OutputDirectory> written = new ArrayList<>();
    for (String output : new LinkedHashSet<>(outputs)) {
      OutputDirectory directory = new OutputDirectory(output, configuration);
      List<String> records = directory.records();
      if (records.isEmpty()) {
        throw new UserException(
            "'" + output + "' has no runs/*.json; give a folder that generate or demo wrote");
      }
      records.forEach(record -> runs.add(Run.parse(output, record)));
      if (directory.hasTables()) {
        written.add(directory);
      }
    }
    if (written.isEmpty()) {
      throw new UserException(
          "no run in " + quoted(outputs) + " has finished: there are no tables to read");
    }
    runs.sort(Comparator.comparing(Run::started).thenComparing(Run::runId));
    Savings savings = new Savings(spark, List.copyOf(runs));
    savings.register(written);
    if (spark.table(Tables.GENERATIONS).isEmpty()) {
      throw new UserException("the tables of " + quoted(outputs) + " have no rows of a run that succeeded");
    }
    return savings;
  }

  private static String quoted(List<String> outputs) {
    return outputs.stream().map(output -> "'" + output + "'").collect(Collectors.joining(", "));
  }

  private void register(List<OutputDirectory> written) {
    Dataset<Row> all = spark.createDataFrame(runs.stream().map(this::row).toList(), RUNS);
    all.createOrReplaceTempView("runs");
    Dataset<Row> succeeded = all.filter(col("status").equalTo(Run.SUCCEEDED)).select("run_id");
    // columns kept from inputs differ between folders
    register(Tables.GENERATIONS, Tables.generations(List.of()), written, OutputDirectory::generations, succeeded);
    register(Tables.SPARSITY, Tables.sparsity(), written, OutputDirectory::sparsity, succeeded);
  }

  /** @param succeeded the runs whose rows are shown */
  private void register(
      String table,
      StructType schema,
      List<OutputDirectory> written,
      Function<OutputDirectory, String> path,
      Dataset<Row> succeeded) {
    spark
        .read()
        .schema(schema)
        .parquet(written.stream().map(path).toArray(String[]::new))
        .join(broadcast(succeeded), "run_id", "left_semi")
        .select(Arrays.stream(schema.fieldNames()).map(name -> col(name)).toArray(Column[]::new))
        .createOrReplaceTempView(table);
  }

  private Row row(Run run) {
    return RowFactory.create(
        run.runId(),
        label(run),
        run.output(),
        run.status(),
        run.started(),
        run.model(),
        run.weights().name().toLowerCase(Locale.ROOT),
        run.method().toString(),
        run.union(),
        run.batchSize());
  }

  private static String label(Run run, boolean oneModel, boolean oneType) {
    StringBuilder label = new StringBuilder(run.method().toString());
    if (run.method().sparse()) {
      label.append(' ').append(run.union());
    }
    if (!oneType) {
      label.append(' ').append(run.weights().name().toLowerCase(Locale.ROOT));
    }
    if (!oneModel) {
      label.append(" (").append(run.model()).append(')');
    }
    return label.toString();
  }

  /** Oldest first. */
  public List<Run> runs() {
    return runs;
  }

  /** Under which a run counts. */
  public String label(Run run) {
    return labels.get(run.runId());
  }

  /** Runs that succeeded under a label, oldest first; never empty for a label of a query's row. */
  public List<Run> runs(String label) {
    return runs.stream()
        .filter(run -> label(run).equals(label) && run.succeeded())
        .toList();
  }

  /** Any question to {@code generations}, {@code sparsity} and {@code runs}. */
  public Dataset<Row> sql(String query) {
    return spark.sql(query);
  }

  /**
   * Rows and tokens over all runs that wrote some; bytes of those that were not dense.
   *
   * @param promptTokens of prompts that were answered
   */
  public record Totals(
      long rows, long errorRows, long promptTokens, long outputTokens, long bytesRead, long bytesDense) {
    /** Of the feed-forward bytes that dense at the same precision reads. */
    public double saved() {
      return bytesDense == 0 ? Double.NaN : 1 - (double) bytesRead / bytesDense;
    }
  }

  public Totals totals() {
    Row rows =
        sql(
                """
                SELECT count(*), count_if(finish_reason = 'error'),
                       coalesce(sum(CAST(prompt_tokens AS BIGINT))
                                FILTER (WHERE finish_reason <> 'error'), 0L),
                       sum(CAST(output_tokens AS BIGINT))
                FROM generations
                """)
            .first();
    Row bytes =
        sql(
                """
                SELECT coalesce(sum(bytes_read), 0L), coalesce(sum(bytes_dense), 0L)
                FROM sparsity JOIN runs USING (run_id) WHERE method <> '%s'
                """
                    .formatted(Method.DENSE))
            .first();
    return new Totals(
        rows.getLong(0),
        rows.getLong(1),
        rows.getLong(2),
        rows.getLong(3),
        bytes.getLong(0),
        bytes.getLong(1));
  }

  /**
   * A layer's decode steps under one label.
   *
   * @param ownDensity mean over sequences
   * @param unionDensity mean over steps
   * @param bytesDense what dense would have read at the same precision
   * @param bytesBf16 what dense would have read in bf16
   */
  public record Layer(
      String label,
      int layer,
      long steps,
      long denseSteps,
      double ownDensity,
      double unionDensity,
      long bytesRead,
      long bytesDense,
      long bytesBf16) {
    public double read() {
      return (double) bytesRead / bytesDense;
    }
  }

  /** Where the bytes went, by label and layer. */
  public List<Layer> layers() {
    return rows(
        """
        SELECT label, layer, sum(steps), sum(dense_steps),
               sum(own_density * sequences) / sum(sequences),
               sum(union_density * steps) / sum(steps),
               sum(bytes_read), sum(bytes_dense)
        FROM sparsity JOIN runs USING (run_id)
        GROUP BY label, layer ORDER BY label, layer
        """,
        row ->
            new Layer(
                row.getString(0),
                row.getInt(1),
                row.getLong(2),
                row.getLong(3),
                row.getDouble(4),
                row.getDouble(5),
                row.getLong(6),
                row.getLong(7),
                inBf16(row.getString(0), row.getLong(7))));
  }

  private long inBf16(String label, long bytes) {
    WeightType type =
        runs.stream().filter(run -> label(run).equals(label)).findFirst().orElseThrow().weights();
    return bytes * WeightType.BF16.bytes(WeightType.GROUP) / type.bytes(WeightType.GROUP);
  }

  /**
   * The decode steps of one label, layer and number of sequences.
   *
   * @param histogram steps by union density, equal bins of [0, 1]
   */
  public record Cell(
      String label,
      int layer,
      int batchSize,
      long steps,
      long denseSteps,
      double ownDensity,
      double unionDensity,
      long[] histogram,
      long bytesRead,
      long bytesDense) {
    /** 1 - (1 - r)^B: the union if each sequence called r of the rows independently of the others. */
    public double independent() {
      return 1 - Math.pow(1 - ownDensity, batchSize);
    }
  }

  /** How unions grow with the batch: sparse labels by layer and batch size. */
  public List<Cell> cells() {
    String histogram =
        IntStream.range(0, SparsityCounters.BINS)
            .mapToObj(bin -> "sum(union_histogram[" + bin + "])")
            .collect(Collectors.joining(", "));
    return rows(
        """
        SELECT label, layer, sparsity.batch_size, sum(steps), sum(dense_steps),
               sum(own_density * sequences) / sum(sequences),
               sum(union_density * steps) / sum(steps),
               array(%s), sum(bytes_read), sum(bytes_dense)
        FROM sparsity JOIN runs USING (run_id)
        WHERE method <> '%s'
        GROUP BY label, layer, sparsity.batch_size ORDER BY label, layer, sparsity.batch_size
        """
            .formatted(histogram, Method.DENSE),
        row ->
            new Cell(
                row.getString(0),
                row.getInt(1),
                row.getInt(2),
                row.getLong(3),
                row.getLong(4),
                row.getDouble(5),
                row.getDouble(6),
                row.<Long>getList(7).stream().mapToLong(Long::longValue).toArray(),
                row.getLong(8),
                row.getLong(9)));
  }

  /** Error rows whose messages differ in numbers alone. */
  public record ErrorKind(String error, long rows) {}

  /** Most frequent first. */
  public List<ErrorKind> errors() {
    return rows(
        """
        SELECT regexp_replace(error, '[0-9]+', '#') AS kind, count(*) AS rows
        FROM generations WHERE finish_reason = 'error'
        GROUP BY kind ORDER BY rows DESC, kind
        """,
        row -> new ErrorKind(row.getString(0), row.getLong(1)));
  }

  /** The partitions that kept their device busy longest, over all runs; slowest first. */
  public List<Run.Partition> slowest() {
    return runs.stream()
        .flatMap(run -> run.slowest().stream())
        .sorted(Comparator.comparingDouble(Run.Partition::seconds).reversed())
        .limit(10)
        .toList();
  }

  private <T> List<T> rows(String query, Function<Row, T> read) {
    return sql(query).collectAsList().stream().map(read).toList();
  }
}
