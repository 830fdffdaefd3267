package io.rollcall.jobs.generate;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.generation.PhaseTimes;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.input.PromptTable;
import io.rollcall.jobs.output.OutputDirectory;
import io.rollcall.jobs.output.RunRecord;
import io.rollcall.jobs.output.Tables;
import io.rollcall.jobs.output.TablesFormat;
import io.rollcall.jobs.output.WriteMode;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.Progress;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
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
   *     out before inference leaves the output as it was
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
    PromptTable table = PromptTable.open(spark, request.input());
    long rows = table.requireRows();
    output.prepare();
    TaskSetup setup = TaskSetup.of(request.model(), request.decoding(), configuration);
    ModelRegistry models = ModelRegistry.process();
    if (spark.sparkContext().isLocal()) {
      // tasks run in this process: what it lacks is said before anything is done
      models.devices(request.model());
    }
    ModelFiles files = models.files(request.model(), configuration);
    SparsityProfile profile;
    String warning = null;
    // The driver needs no weights: they are loaded where the tasks run.
    try (Model model = ModelReader.described(files)) {
      String templateName = setup.template().of(model, files).name();
      profile =
          new SparsityPlanner(model, files)
              .profile(
                  request.sparsity(),
                  (method, union, sparsity) -> calibrate(table, setup, method, union, sparsity),
                  configuration);
      if (request.mode() == WriteMode.RESUME) {
        warning = EarlierRuns.differences(output.records(), model.digest(), profile);
      }
      record
          .put("configuration", request)
          .put("model", request.model().name())
          .put("model_digest", model.digest())
          .put("template", templateName);
    }
    if (request.mode() == WriteMode.OVERWRITE) {
      output.clear();
    }
    ProfileRecord.put(record, profile);
    return run(output, table, rows, setup, profile, record, warning);
  }

  private SparsityProfile calibrate(
      PromptTable table,
      TaskSetup setup,
      Method method,
      UnionStrategy union,
      double sparsity) {
    List<String> sample = table.sample(CALIBRATION_PROMPTS);
    return CalibrationJob.sample(
        JavaSparkContext.fromSparkContext(spark.sparkContext()),
        new CalibrationJob.Work(
            UUID.randomUUID().toString(),
            setup,
            new Calibrator.Target(method, null, union, request.decoding().batchSize()),
            false),
        CalibrationJob.unanswered(sample),
        sparsity,
        request.input().path());
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
    long prompts = resume ? pending.rowCount() : rows;
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
    try (var shown = progress.show(record.runId(), prompts)) {
      infer(output, pending, partitions, labels, setup, profile, totals);
    } catch (Exception e) { // SparkException among them, undeclared
      UserException failure = Failures.explain(e);
      record.failed(failure.getMessage());
      throw failure;
    }
    putTotals(record, totals.value());
    Drift drift = Drift.of(profile, totals.value(), driftBound);
    record.put("drift", drift).succeeded();
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

  private static String joined(String... warnings) {
    String all = Stream.of(warnings).filter(Objects::nonNull).collect(Collectors.joining("; "));
    return all.isEmpty() ? null : all;
  }

  private void infer(
      OutputDirectory output,
      PromptTable pending,
      int partitions,
      Tables.Labels labels,
      TaskSetup setup,
      SparsityProfile profile,
      TotalsAccumulator totals) {
    SparkContext context = spark.sparkContext();
    context.setJobGroup(
        "rollcall " + labels.runId(),
        "rollcall generate: " + request.input().path() + " to " + output.path(),
        true);
    Broadcast<InferenceTask.Work> work =
        JavaSparkContext.fromSparkContext(context)
            .broadcast(
                new InferenceTask.Work(
                    labels,
                    setup.model(),
                    profile,
                    setup.decoding(),
                    setup.template(),
                    setup.configuration(),
                    pending.kept().size()));
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
          .save(output.path());
    } finally {
      work.destroy();
    }
  }

  private int workersOfTask() {
    return spark.sparkContext().getConf().getInt("spark.task.cpus", 1);
  }

  private int partitions(long prompts) {
    if (request.partitions() > 0) {
      return request.partitions();
    }
    int devices =
        spark.sparkContext().isLocal() ? ModelRegistry.process().devices(request.model()) : 0;
    int slots =
        devices > 0
            ? devices
            : Math.max(1, spark.sparkContext().defaultParallelism() / workersOfTask());
    long fullBatches = ceil(prompts, request.decoding().batchSize());
    long wanted = Math.max(ceil(prompts, PROMPTS_PER_TASK), Math.min(slots, fullBatches));
    return (int) Math.max(1, Math.min(wanted, 1_000_000));
  }

  private static long ceil(long a, long b) {
    return (a + b - 1) / b;
  }

  private static void putTotals(RunRecord record, RunTotals totals) {
    Map<String, Object> counts = new LinkedHashMap<>();
    counts.put("rows", totals.rows());
    counts.put("finish_reasons", totals.finishReasons());
    counts.put("errors", totals.errors());
    PhaseTimes times = totals.times();
    record
        .put("counts", counts)
        .put("prompt_tokens", totals.promptTokens())
        .put("output_tokens", totals.outputTokens())
        .put("prefill", phase(times.prefillTokens(), times.prefillNanos(), times.prefillTokensPerSecond()))
        .put("decode", phase(times.decodeTokens(), times.decodeNanos(), times.decodeTokensPerSecond()))
        .put("layers", totals.layers().stream().map(ProfileRecord::layer).toList())
        .put("bytes_read", totals.bytesRead())
        .put("bytes_dense", totals.bytesDense())
        .put("devices", totals.devices())
        .put("slowest_partitions", totals.slowest().stream().map(GenerateAction::partition).toList());
  }

  private static Map<String, Object> partition(PartitionTimes task) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("partition", task.partition());
    fields.put("host", task.host());
    fields.put("rows", task.rows());
    fields.put("prompt_tokens", task.promptTokens());
    fields.put("output_tokens", task.outputTokens());
    fields.put("prefill_seconds", task.times().prefillNanos() / 1e9);
    fields.put("decode_seconds", task.times().decodeNanos() / 1e9);
    return fields;
  }

  /** Busy seconds, summed over tasks; tokens per second are per task. */
  private static Map<String, Object> phase(long tokens, long nanos, double perSecond) {
    Map<String, Object> phase = new LinkedHashMap<>();
    phase.put("tokens", tokens);
    phase.put("seconds", nanos / 1e9);
    phase.put("tokens_per_second", perSecond);
    return phase;
  }
}
