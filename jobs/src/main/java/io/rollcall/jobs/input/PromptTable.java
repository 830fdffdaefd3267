package io.rollcall.jobs.input;

import static org.apache.spark.sql.functions.coalesce;
import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.concat;
import static org.apache.spark.sql.functions.count;
import static org.apache.spark.sql.functions.lit;
import static org.apache.spark.sql.functions.max;
import static org.apache.spark.sql.functions.row_number;
import static org.apache.spark.sql.functions.sha2;
import static org.apache.spark.sql.functions.struct;
import static org.apache.spark.sql.functions.substring;
import static org.apache.spark.sql.functions.to_json;
import static org.apache.spark.sql.functions.trim;
import static org.apache.spark.sql.functions.when;
import static org.apache.spark.sql.functions.xxhash64;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.DecodePositions.Document;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.expressions.Window;
import org.apache.spark.sql.expressions.WindowSpec;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.BinaryType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.MapType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;

/**
 * The prompts of a run as a table of {@link #ID}, {@link #PROMPT}, {@link #ERROR} and {@link #KEPT}.
 *
 * <p>A row without an id gets one made from a hash of what is read of it, {@code null#<hash>}: the
 * same in every run, partition and retry. Rows that share an id become one row, whose error says how
 * many there were, after what was wrong with each of them where that is so.
 */
public final class PromptTable {
  public static final String ID = "id";
  public static final String PROMPT = "prompt";
  /** Why a row cannot be answered; null where it can. */
  public static final String ERROR = "error";
  /** Struct of the kept columns; null for a repeated id, whose rows may differ. */
  public static final String KEPT = "kept";

  private static final String CORRUPT = "_corrupt_record";

  private final PromptSource source;
  private final Dataset<Row> rows;
  private final List<StructField> kept;

  private PromptTable(PromptSource source, Dataset<Row> rows, List<StructField> kept) {
    this.source = source;
    this.rows = rows;
    this.kept = List.copyOf(kept);
  }

  /**
   * Opens an input and checks its columns; reads no rows, but those of JSON, whose columns are found so, and
   * where there is a limit.
   *
   * @throws UserException naming the path or column that is wrong
   */
  public static PromptTable open(SparkSession spark, PromptSource source) {
    Dataset<Row> input = new InputFiles(spark, source.path()).open();
    List<StructField> kept = new ArrayList<>();
    for (String name : source.keepColumns()) {
      kept.add(column(input, name, "--keep-columns", source));
    }
    return open(input, source, kept);
  }

  /**
   * The same with the answers that the prompts should get for the one kept column, as text.
   *
   * @param references their column; null for none
   */
  public static PromptTable open(SparkSession spark, PromptSource source, String references) {
    if (references == null) {
      return open(spark, source);
    }
    Dataset<Row> input = new InputFiles(spark, source.path()).open();
    StructField reference = column(input, references, "--references-column", source);
    if (!(reference.dataType() instanceof StringType)) {
      throw wrongType(reference, source, "not text", "--references-column");
    }
    return open(input, source, List.of(reference));
  }

  private static PromptTable open(
      Dataset<Row> input, PromptSource source, List<StructField> kept) {
    StructField id = column(input, source.idColumn(), "--id-column", source);
    if (id.dataType() instanceof StructType
        || id.dataType() instanceof ArrayType
        || id.dataType() instanceof MapType) {
      throw wrongType(id, source, "not a single value", "--id-column");
    }
    if (id.dataType() instanceof BinaryType) {
      throw wrongType(id, source, "bytes that are no text: write them as text (hex) in the input", "--id-column");
    }
    StructField prompt = column(input, source.promptColumn(), "--prompt-column", source);
    if (!(prompt.dataType() instanceof StringType)) {
      throw wrongType(prompt, source, "not text", "--prompt-column");
    }
    return new PromptTable(
        source, limited(select(input, id, prompt, kept), source.limit()), kept);
  }

  /** The kept columns, in order. */
  public List<StructField> kept() {
    return kept;
  }

  /** Rows as they were read, repeated ids included. */
  public long rowCount() {
    return rows.count();
  }

  /**
   * The same, where there must be some.
   *
   * @throws UserException when there are none
   */
  public long requireRows() {
    return required(rowCount());
  }

  /** Rows of {@link #prompts}: each id once. */
  public long promptCount() {
    return rows.select(ID).distinct().count();
  }

  /**
   * The same, where there must be some.
   *
   * @throws UserException when there are none
   */
  public long requirePrompts() {
    return required(promptCount());
  }

  private long required(long count) {
    if (count == 0) {
      throw new UserException("input '" + source.path() + "' has no rows");
    }
    return count;
  }

  /** What is wrong where a table with references has no document that can be used. */
  public UserException withoutReferences(long rows) {
    return new UserException(
        String.format(
            "none of the %d rows of input '%s' has both a prompt and text in column '%s'; choose the"
                + " reference answers' column with --references-column",
            rows, source.path(), kept.get(0).name()));
  }

  /**
   * Prompts that can be answered and have a reference, in an order that is the same in every run: that
   * of {@link #sample}. All of them come to the driver.
   */
  public List<Document> referenced() {
    return referenced(Integer.MAX_VALUE);
  }

  /** The first of them. Without kept columns references are null, and all prompts count. */
  public List<Document> referenced(int most) {
    Column answerable = col(ERROR).isNull().and(trim(col(PROMPT)).notEqual(""));
    Column reference =
        kept.isEmpty()
            ? lit(null).cast(DataTypes.StringType)
            : col(KEPT).getField(kept.get(0).name());
    return prompts(1)
        .filter(kept.isEmpty() ? answerable : answerable.and(trim(reference).notEqual("")))
        .orderBy(xxhash64(col(ID)), col(ID))
        .limit(most)
        .select(col(ID), col(PROMPT), reference)
        .collectAsList()
        .stream()
        .map(row -> new Document(row.getString(0), row.getString(1), row.getString(2)))
        .toList();
  }

  /** Without the ids of another table. */
  public PromptTable without(Dataset<Row> ids) {
    Dataset<Row> done = ids.select(col(ID).as("done")).distinct();
    return new PromptTable(
        source, rows.join(done, col(ID).equalTo(col("done")), "left_anti"), kept);
  }

  /** Up to {@code n} answerable prompts for calibration: the same ones in every run. */
  public List<String> sample(int n) {
    return rows
        .filter(col(ERROR).isNull().and(trim(col(PROMPT)).notEqual("")))
        .orderBy(xxhash64(col(ID)), col(ID), col(PROMPT))
        .limit(n)
        .select(PROMPT)
        .collectAsList()
        .stream()
        .map(row -> row.getString(0))
        .toList();
  }

  /**
   * Each id once, spread evenly over {@code partitions} and in order of id within each, so that a
   * retried task meets the same prompts in the same order.
   */
  public Dataset<Row> prompts(int partitions) {
    WindowSpec sameId = Window.partitionBy(ID).orderBy(ID);
    WindowSpec all =
        sameId.rowsBetween(Window.unboundedPreceding(), Window.unboundedFollowing());
    Column repeated = col("rows").gt(1);
    Column times = col("rows").cast(DataTypes.StringType);
    Column error =
        when(
                repeated.and(col("errors").equalTo(col("rows"))),
                concat(col(ERROR), lit(" ("), times, lit(" such rows)")))
            .when(repeated, concat(times, lit(" rows of the input have this id")))
            .otherwise(col(ERROR));
    return rows.repartition(partitions, col(ID))
        .withColumn("rows", count(lit(1)).over(all))
        .withColumn("errors", count(col(ERROR)).over(all))
        .withColumn("nth", row_number().over(sameId))
        .filter(col("nth").equalTo(1))
        .select(
            col(ID),
            col(PROMPT),
            error.as(ERROR),
            when(repeated, lit(null)).otherwise(col(KEPT)).as(KEPT));
  }

  private static Dataset<Row> select(
      Dataset<Row> input, StructField id, StructField prompt, List<StructField> kept) {
    boolean corrupt = Arrays.asList(input.columns()).contains(CORRUPT);
    Column unread = corrupt ? quoted(CORRUPT) : lit(null).cast(DataTypes.StringType);
    Column[] keptColumns = kept.stream().map(field -> quoted(field.name())).toArray(Column[]::new);
    List<Column> read = new ArrayList<>(Arrays.asList(keptColumns));
    read.add(quoted(prompt.name()).as("rollcall prompt"));
    read.add(unread.as("rollcall unread"));
    Column hash = sha2(to_json(struct(read.toArray(Column[]::new))).cast("binary"), 256);
    Column idText = quoted(id.name()).cast(DataTypes.StringType);
    Column error =
        when(unread.isNotNull(), lit("the line is not valid JSON"))
            .when(idText.isNull(), lit("the row's " + id.name() + " is null"));
    // A struct needs a field: without kept columns there is only the null.
    Column keptStruct =
        kept.isEmpty() ? lit(null).cast(DataTypes.StringType) : struct(keptColumns);
    return input.select(
        coalesce(idText, concat(lit("null#"), substring(hash, 1, 16))).as(ID),
        quoted(prompt.name()).as(PROMPT),
        error.as(ERROR),
        keptStruct.as(KEPT));
  }

  /**
   * All rows of the first ids by their hash. Up to the last of these is a filter, which moves no rows;
   * the ids alone are shuffled to find it.
   */
  private static Dataset<Row> limited(Dataset<Row> rows, long limit) {
    if (limit == 0) {
      return rows;
    }
    int n = (int) Math.min(limit, Integer.MAX_VALUE);
    Column hash = xxhash64(col(ID));
    Row last =
        rows.select(hash.as("hash"), col(ID))
            .distinct()
            .orderBy("hash", ID)
            .limit(n)
            .agg(max(struct("hash", ID)))
            .first()
            .getStruct(0);
    return last == null
        ? rows
        : rows.filter(
            hash.lt(last.getLong(0))
                .or(hash.equalTo(last.getLong(0)).and(col(ID).leq(last.getString(1)))));
  }

  private static StructField column(
      Dataset<Row> input, String name, String option, PromptSource source) {
    return Arrays.stream(input.schema().fields())
        .filter(field -> field.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new UserException(
                    "input '"
                        + source.path()
                        + "' has no column '"
                        + name
                        + "'; its columns are "
                        + String.join(", ", input.columns())
                        + " ("
                        + option
                        + " chooses)"));
  }

  private static UserException wrongType(
      StructField field, PromptSource source, String problem, String option) {
    return new UserException(
        "column '"
            + field.name()
            + "' of input '"
            + source.path()
            + "' is "
            + field.dataType().simpleString()
            + ", "
            + problem
            + "; choose another with "
            + option);
  }

  private static Column quoted(String name) {
    return col("`" + name.replace("`", "``") + "`");
  }
}
