package io.rollcall.jobs.demo;

import static org.apache.spark.sql.functions.col;

import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.generate.GenerateAction;
import io.rollcall.jobs.generate.GenerateRequest;
import io.rollcall.jobs.generate.GenerateResult;
import io.rollcall.jobs.generate.SparsityRequest;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.output.OutputDirectory;
import io.rollcall.jobs.output.WriteMode;
import io.rollcall.jobs.runtime.BackendChoice;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.Progress;
import io.rollcall.kernels.WeightType;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;

/**
 * The first run of a newcomer: the built-in model summarises Spark's own configuration reference with
 * the same {@link GenerateAction} that any input goes through.
 */
public final class DemoAction {
  private static final String MODEL = "builtin:summarizer-20m";
  private static final int BATCH_SIZE = 4;
  private static final int MAX_NEW_TOKENS = 40;
  private static final int COMPARED = 40;
  private static final int PREVIEWED = 7;

  private final SparkSession spark;
  private final String output;
  private final BackendChoice backend;
  private final Progress progress;

  /** @param output directory of the tables; an earlier demo's is overwritten */
  public DemoAction(
      SparkSession spark, String output, BackendChoice backend, Progress progress) {
    this.spark = spark;
    this.output = output;
    this.backend = backend;
    this.progress = progress;
  }

  /** @throws io.rollcall.engine.UserException when the output is not a demo's or cannot be written */
  public DemoResult execute() {
    Configuration configuration = spark.sessionState().newHadoopConf();
    OutputDirectory directory = new OutputDirectory(output, configuration);
    directory.admit(WriteMode.OVERWRITE);
    directory.prepare();
    String documents = new Path(output, "documents").toString();
    DemoCorpus.documents(spark).coalesce(1).write().mode(SaveMode.Overwrite).parquet(documents);
    ModelSource source = new ModelSource(MODEL, WeightType.BF16, backend);
    Decoding decoding = Decoding.greedy(BATCH_SIZE, MAX_NEW_TOKENS);
    GenerateResult run =
        new GenerateAction(
                spark,
                new GenerateRequest(
                    new PromptSource(
                        documents, DemoCorpus.ID, DemoCorpus.TEXT, List.of(DemoCorpus.TEXT), 0),
                    output,
                    WriteMode.OVERWRITE,
                    source,
                    SparsityRequest.unspecified(),
                    decoding,
                    0))
            .progress(progress)
            .execute();
    return new DemoResult(
        MODEL, documents, run, preview(), compare(source, decoding, run, documents), BATCH_SIZE);
  }

  private Comparison compare(
      ModelSource source, Decoding decoding, GenerateResult run, String documents) {
    int workers = Runtime.getRuntime().availableProcessors();
    try (ModelRegistry.Lease lease =
        ModelRegistry.process()
            .acquire(source, List.of(), spark.sessionState().newHadoopConf())) {
      SparsityPlan plan =
          new SparsityPlan(
              run.profile(), lease.crossover(run.profile(), decoding.batchSize(), workers));
      GenerationOptions options = decoding.options(lease.model().config());
      return Comparison.run(lease.model(), plan, options, workers, sample(documents));
    }
  }

  private List<Prompt> sample(String documents) {
    return spark.read().parquet(documents).orderBy(DemoCorpus.ID).limit(COMPARED).collectAsList()
        .stream()
        .map(row -> new Prompt(row.getAs(DemoCorpus.ID), row.getAs(DemoCorpus.TEXT)))
        .toList();
  }

  /** A few rows from all over the table, in order of id. */
  private List<DemoResult.Summary> preview() {
    List<Row> rows =
        spark
            .read()
            .parquet(new Path(output, "generations").toString())
            .filter(col("finish_reason").equalTo("stop"))
            .orderBy("id")
            .select("id", DemoCorpus.TEXT, "output")
            .collectAsList();
    int step = Math.max(1, rows.size() / PREVIEWED);
    return rows.stream()
        .filter(row -> rows.indexOf(row) % step == step / 2)
        .limit(PREVIEWED)
        .map(row -> new DemoResult.Summary(row.getString(0), row.getString(1), row.getString(2)))
        .toList();
  }
}
