package io.rollcall.jobs.recovery;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.evaluation.Evaluation;
import io.rollcall.engine.evaluation.PlanScores;
import io.rollcall.engine.evaluation.PositionSums;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.engine.recovery.CorrectionStatistics;
import io.rollcall.engine.recovery.LayerRange;
import io.rollcall.engine.recovery.Recovery;
import io.rollcall.engine.recovery.RecoveryOptions;
import io.rollcall.engine.sparsity.Corrections;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.evaluate.EvaluationTask;
import io.rollcall.jobs.generate.DenseAnswersTask;
import io.rollcall.jobs.generate.Failures;
import io.rollcall.jobs.generate.TaskSetup;
import io.rollcall.jobs.input.HeldOut;
import io.rollcall.jobs.input.PromptTable;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ProfileFiles;
import io.rollcall.jobs.runtime.Progress;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.storage.StorageLevel;

/**
 * Fits corrections to a profile: the executors decode documents dense and sparse side by side and sum up
 * inputs and errors of the layers, the driver solves for each layer's correction, and the next pass runs
 * with it. Writes a profile with corrections, and its tensors beside it, if they bring documents that are
 * held out nearer to dense.
 */
public final class RecoverAction {
  /** Below, too many steps of a task are those at its end, with few documents in flight. */
  private static final int BATCHES_PER_TASK = 8;

  private static final int MOST_TASKS = 256;
  /** As {@link #BATCHES_PER_TASK}, of held-out documents: they are fewer. */
  private static final int CHECKED_BATCHES = 4;

  private final SparkSession spark;
  private final RecoverRequest request;
  private final Configuration configuration;
  private final ProfileFiles files;
  private final String runId = UUID.randomUUID().toString();
  private Progress progress = Progress.NONE;

  public RecoverAction(SparkSession spark, RecoverRequest request) {
    this.spark = spark;
    this.request = request;
    configuration = spark.sessionState().newHadoopConf();
    files = new ProfileFiles(request.output(), "corrections", configuration);
  }

  /** Shows progress while the fit lasts. */
  public RecoverAction progress(Progress shown) {
    progress = shown;
    return this;
  }

  /**
   * Runs it.
   *
   * @throws UserException for an input, model, profile, rank or output that cannot be used, or
   *     corrections that do harm
   */
  public RecoverResult execute() {
    long started = System.nanoTime();
    files.requireNew();
    describe("checks");
    ModelFiles modelFiles = ModelRegistry.process().files(request.model(), configuration);
    try (Model model = ModelReader.described(modelFiles)) {
      SparsityProfile profile = ProfileFiles.read(request.profile(), model, configuration);
      RecoveryOptions options = options(model, profile);
      Recovery recovery = new Recovery(profile, model.config(), model.name(), options);
      SparsityProfile recovered = recovered(profile, recovery, options);
      files.write(recovered);
      return new RecoverResult(
          request.output(),
          files.tensors(),
          recovered,
          model.config().parameters(),
          (System.nanoTime() - started) / 1e9);
    } finally {
      spark.sparkContext().clearJobGroup();
    }
  }

  private JavaSparkContext context() {
    return JavaSparkContext.fromSparkContext(spark.sparkContext());
  }

  private void describe(String what) {
    spark.sparkContext().setJobGroup("rollcall " + runId, "rollcall recover: " + what, true);
  }

  private RecoveryOptions options(Model model, SparsityProfile profile) {
    int batchSize = request.decoding().batchSize();
    return new RecoveryOptions(
        request.rank() == null
            ? RecoveryOptions.largestRank(model.config(), profile.union(), batchSize)
            : request.rank(),
        batchSize,
        request.layersPerPass() == null
            ? RecoveryOptions.layersPerPass(model.config())
            : request.layersPerPass());
  }

  private SparsityProfile recovered(
      SparsityProfile profile, Recovery recovery, RecoveryOptions options) {
    PromptTable table = PromptTable.open(spark, request.input(), request.references());
    long rows = table.requireRows();
    TaskSetup tasks = TaskSetup.of(request.model(), request.decoding(), configuration);
    List<Document> heldOut = heldOut(table);
    Broadcast<TaskSetup> setup = context().broadcast(tasks);
    JavaRDD<String[]> documents =
        HeldOut.without(heldOut, spark, table)
            .prompts(request.decoding().tasks(rows, BATCHES_PER_TASK, MOST_TASKS))
            .javaRDD()
            .mapPartitions(new FittedDocumentsTask(setup, request.references() != null))
            .persist(StorageLevel.MEMORY_AND_DISK());
    try {
      long answered = answered(documents, table, rows);
      Corrections corrections =
          recovery.fit(
              (soFar, layers) -> gather(documents, setup, soFar, layers, options),
              files.tensorsName(),
              request.input().path(),
              answered);
      SparsityProfile plain = profile.with((Corrections) null);
      SparsityProfile recovered = plain.in(files.tensorsName()).with(corrections);
      Corrections.Check check = check(tasks, plain, recovered, heldOut);
      return check == null ? recovered : recovered.with(corrections.with(check));
    } finally {
      documents.unpersist(false);
      setup.destroy();
    }
  }

  /** Documents that are not fitted to; none of a small input. */
  private List<Document> heldOut(PromptTable table) {
    int batch = request.decoding().batchSize();
    List<Document> documents = table.referenced(HeldOut.known(batch));
    return documents.subList(0, HeldOut.count(documents.size(), batch));
  }

  /**
   * What the corrections do to held-out documents; null where these have no step with a full batch.
   *
   * @throws UserException when they do harm
   */
  private Corrections.Check check(
      TaskSetup setup, SparsityProfile plain, SparsityProfile recovered, List<Document> heldOut) {
    if (heldOut.isEmpty()) {
      return null;
    }
    describe("check on held-out documents");
    int partitions = request.decoding().tasks(heldOut.size(), CHECKED_BATCHES, MOST_TASKS);
    List<Document> documents =
        request.references() == null
            ? DenseAnswersTask.run(context(), setup, heldOut, partitions)
            : heldOut;
    EvaluationTask.Work work =
        new EvaluationTask.Work(runId, setup, List.of(plain, recovered), false);
    Evaluation evaluation =
        EvaluationTask.sum(EvaluationTask.run(context(), work, documents, partitions));
    List<PositionSums> sums = evaluation.plans().stream().map(PlanScores::total).toList();
    if (sums.get(0).tokens() == 0) {
      return null;
    }
    Corrections.Check check =
        new Corrections.Check(
            evaluation.documents(),
            sums.get(0).perplexity(),
            sums.get(1).perplexity(),
            sums.get(2).perplexity(),
            sums.get(1).divergence() / sums.get(1).tokens(),
            sums.get(2).divergence() / sums.get(2).tokens());
    if (check.harmful()) {
      throw new UserException(
          String.format(
              Locale.ROOT,
              "corrections of rank %d do harm: on %d held-out documents KL divergence from dense is %.3f"
                  + " with them and %.3f without, perplexity %.2f and %.2f; nothing is written. Give a"
                  + " larger --rank, more documents or a profile that drops less",
              recovered.corrections().rank(),
              check.documents(),
              check.correctedDivergence(),
              check.sparseDivergence(),
              check.corrected(),
              check.sparse()));
    }
    return check;
  }

  private long answered(JavaRDD<String[]> documents, PromptTable table, long rows) {
    describe("answers to " + request.input().path());
    long answered = Failures.explained(documents::count);
    if (answered == 0) {
      throw request.references() == null
          ? new UserException(
              String.format(
                  "the model answers none of the %d prompts of input '%s'; give other documents",
                  rows, request.input().path()))
          : table.withoutReferences(rows);
    }
    return answered;
  }

  private List<CorrectionStatistics> gather(
      JavaRDD<String[]> documents,
      Broadcast<TaskSetup> setup,
      SparsityProfile soFar,
      LayerRange layers,
      RecoveryOptions options) {
    String which =
        layers.count() == 1
            ? "layer " + layers.first()
            : "layers " + layers.first() + " to " + (layers.end() - 1);
    describe("errors of " + which);
    Broadcast<PassTask.Wanted> wanted =
        context().broadcast(new PassTask.Wanted(runId, soFar, layers, options));
    Progress.Line line =
        (done, seconds) ->
            String.format(
                Locale.ROOT, "errors of %s: %,d documents decoded", which, done.prompts());
    try (var shown = progress.show(runId, line)) {
      return Failures.explained(
          () ->
              documents
                  .mapPartitions(new PassTask(setup, wanted))
                  .treeReduce(PassTask.Gathered::plus)
                  .layers());
    } finally {
      wanted.destroy();
    }
  }
}
