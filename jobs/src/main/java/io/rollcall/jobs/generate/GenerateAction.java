package io.rollcall.jobs.generate;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.input.PromptTable;
import io.rollcall.jobs.output.OutputDirectory;
import io.rollcall.jobs.output.RunRecord;
import io.rollcall.jobs.output.Staging;
import io.rollcall.jobs.output.Tables;
import io.rollcall.jobs.output.TablesFormat;
import io.rollcall.jobs.output.WriteMode;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.Progress;
import io.rollcall.jobs.runtime.TaskSlots;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SaveMode;
import org.apache.spark.sql.SparkSession;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Answers prompts and writes the generations with what the sparsity saved. One inference pass feeds
 * both tables; prompts that cannot be answered become error rows.
 *
 * <pre>{@code
 * GenerateResult result = new GenerateAction(spark, request).execute();
 * }</pre>
 */
public final class GenerateAction {
  private static final int CALIBRATION_PROMPTS = 64;
  /** Small enough that a lost task costs little, large enough that its batch stays full. */
  private static final int PROMPTS_PER_TASK = 2000;
  private static final double DRIFT_BOUND = 3;
  private static final Logger LOG = LoggerFactory.getLogger(GenerateAction.class);

  private final SparkSession spark;
  private final GenerateRequest request;
  private final Configuration configuration;
  private Progress progress = Progress.NONE;
  private double driftBound = DRIFT_BOUND;

  public GenerateAction(SparkSession spark, GenerateRequest request) {
    this.spark = spark;
    this.request = request;
    this.configuration = spark.sessionState().newHadoopConf();
  }

  /** Shows progress while the run lasts. */
  public GenerateAction progress(Progress shown) {
    progress = shown;
    return this;
  }

  /**
   * How far a layer's own density may be from what its profile was calibrated to before the run warns.
   *
   * @param times the calibration's standard deviation between prompts; 3 unless it is set
   * @throws UsageException when it is not above 0
   */
  public GenerateAction driftBound(double times) {
    if (!(times > 0)) {
      throw new UsageException(
          "--drift-bound " + times + " is not above 0; it counts standard deviations between prompts");
    }
    driftBound = times;
    return this;
  }

  /**
   * Runs the job.
   *
   * @throws UserException for an input, model, profile or output that cannot be used; what is found
   *     out before inference leaves the output's tables as they were, but for what a killed driver had begun
   *     to publish
   */
  public GenerateResult execute() {
    SparkContext context = spark.sparkContext();
    context.setJobGroup("rollcall", "rollcall generate: checks", true);
    try {
      return checked();
    } finally {
      context.clearJobGroup();
    }
  }

  private GenerateResult checked() {
    OutputDirectory output = new OutputDirectory(request.output(), configuration);
    output.admit(request.mode());
    output.requireOutside(request.input().path());
    RunRecord record = new RunRecord(output);
    if (request.mode() != WriteMode.ERROR) {
      output.finishPublishing();
    }
    PromptTable table = PromptTable.open(spark, request.input());
    if (request.mode() == WriteMode.APPEND || request.mode() == WriteMode.RESUME) {
      output.requireSameColumns(spark, Tables.generations(table.kept()));
    }
    long rows = table.requirePrompts();
    output.prepare();
    TaskSetup setup = TaskSetup.of(request.model(), request.decoding(), configuration);
    TaskSlots.check(spark.sparkContext(), request.model());
    ModelFiles files = ModelRegistry.process().files(request.model(), configuration);
    SparsityProfile profile;
    String warning = null;
    // The driver needs no weights: they are loaded where the tasks run.
    try (Model model = ModelReader.described(files)) {
      String templateName = setup.template().of(model, files).name();
      profile =
          new SparsityPlanner(model, files)
              .profile(
                  request.sparsity(), calibration(table, setup, model.digest()), configuration);
      if (request.mode() == WriteMode.RESUME) {
        warning = EarlierRuns.differences(output.records(), model.digest(), profile);
      }
      record
          .put("configuration", request)
          .put("model", request.model().name())
          .put("model_digest", model.digest())
          .put("template", templateName);
    }
    ProfileRecord.put(record, profile);
    return run(output, table, rows, setup, profile, record, warning);
  }

  /** On prompts of the input; dense where none can be answered, since all rows are errors then. */
  private SparsityPlanner.Calibration calibration(
      PromptTable table, TaskSetup setup, String modelDigest) {
    return (method, union, sparsity) -> {
      List<String> sample = table.sample(CALIBRATION_PROMPTS);
      if (sample.isEmpty()) {
        LOG.warn(
            "No prompt of input '{}' can be answered, so no thresholds are calibrated", request.input().path());
        return SparsityProfile.dense(modelDigest);
      }
      return CalibrationJob.onPrompts(
              JavaSparkContext.fromSparkContext(spark.sparkContext()),
              setup,
              () -> sample,
              request.input().path())
          .calibrate(method, union, sparsity);
    };
  }

  private GenerateResult run(
      OutputDirectory output,
      PromptTable table,
      long rows,
      TaskSetup setup,
      SparsityProfile profile,
      RunRecord record,
      String warning) {
    boolean resume = request.mode() == WriteMode.RESUME;
    PromptTable pending = resume ? table.without(output.doneIds(spark)) : table;
    long prompts = resume ? pending.promptCount() : rows;
    int partitions = partitions(prompts);
    record.put("prompts", prompts).put("partitions", partitions).write();
    Tables.Labels labels =
        new Tables.Labels(
            record.runId(),
            request.model().name(),
            profile.method().toString(),
            profile.union().toString());
    TotalsAccumulator totals = new TotalsAccumulator();
    spark.sparkContext().register(totals, "rollcall totals");
    Staging staging = output.staging(record.runId());
    try (var shown = progress.show(record.runId(), prompts)) {
      if (prompts > 0) { // a resumed run may have none left
        infer(staging, pending, partitions, labels, setup, profile, totals);
      }
    } catch (Exception e) { // SparkException among them, undeclared
      UserException failure = Failures.explain(e);
      record.failed(failure.getMessage());
      staging.discard();
      throw failure;
    }
    TotalsRecord.put(record, totals.value());
    Drift drift = Drift.of(profile, totals.value(), driftBound);
    record.put("drift", drift).publishing();
    try {
      publish(output, staging, record.runId());
    } catch (UserException e) {
      record.failed(e.getMessage());
      throw e;
    }
    record.succeeded();
    staging.discard();
    String drifted = drift == null ? null : drift.warning();
    if (drifted != null) {
      LOG.warn(drifted);
    }
    return new GenerateResult(
        record.runId(),
        output.path(),
        profile,
        totals.value(),
        rows - prompts,
        record.wallSeconds(),
        joined(warning, drifted));
  }

  private void publish(OutputDirectory output, Staging staging, String runId) {
    boolean replace = request.mode() == WriteMode.OVERWRITE;
    staging.publish(replace);
    if (replace) {
      output.forgetOthers(runId);
    }
  }

  private static String joined(String... warnings) {
    String all = Stream.of(warnings).filter(Objects::nonNull).collect(Collectors.joining("; "));
    return all.isEmpty() ? null : all;
  }

  private void infer(
      Staging staging,
      PromptTable pending,
      int partitions,
      Tables.Labels labels,
      TaskSetup setup,
      SparsityProfile profile,
      TotalsAccumulator totals) {
    SparkContext context = spark.sparkContext();
    context.setJobGroup(
        "rollcall " + labels.runId(),
        "rollcall generate: " + request.input().path() + " to " + request.output(),
        true);
    Broadcast<InferenceTask.Work> work =
        JavaSparkContext.fromSparkContext(context)
            .broadcast(
                new InferenceTask.Work(
                    labels, setup, profile, request.crossover(), pending.kept().size()));
    try {
      Dataset<Row> both =
          pending
              .prompts(partitions)
              .mapPartitions(
                  new InferenceTask(work, totals),
                  Encoders.row(Tables.both(pending.kept())));
      both.write()
          .format(TablesFormat.class.getName())
          .mode(SaveMode.Append)
          .save(staging.path());
    } finally {
      work.destroy();
    }
  }

  private int partitions(long prompts) {
    if (request.partitions() > 0) {
      return request.partitions();
    }
    int slots = TaskSlots.of(spark.sparkContext(), request.model());
    long fullBatches = ceil(prompts, request.decoding().batchSize());
    long wanted = Math.max(ceil(prompts, PROMPTS_PER_TASK), Math.min(slots, fullBatches));
    return (int) Math.max(1, Math.min(wanted, 1_000_000));
  }

  private static long ceil(long a, long b) {
    return (a + b - 1) / b;
  }
}
