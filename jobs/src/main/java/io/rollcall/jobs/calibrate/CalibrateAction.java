package io.rollcall.jobs.calibrate;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.calibration.FactorMoments;
import io.rollcall.engine.calibration.ScoreDistributions;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.evaluate.EvaluationTask;
import io.rollcall.jobs.generate.CalibrationJob;
import io.rollcall.jobs.generate.DenseAnswersTask;
import io.rollcall.jobs.generate.TaskSetup;
import io.rollcall.jobs.input.DocumentRows;
import io.rollcall.jobs.input.HeldOut;
import io.rollcall.jobs.input.PromptTable;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ProfileFiles;
import io.rollcall.jobs.runtime.Progress;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Finds a profile's thresholds over a corpus: executors sketch the scores of a part of the documents
 * each, the driver merges the sketches and reads the thresholds off them, for a given sparsity or for
 * those that a search finds.
 */
public final class CalibrateAction {
  /** Steps with a full bucket that its thresholds take at least. */
  private static final int ENOUGH_STEPS = 32;
  /** Batches of a task: its last one runs out of documents. */
  private static final int BATCHES_PER_TASK = 8;
  private static final int MOST_TASKS = 1024;
  /** Documents that neuron scales come from: some thousand positions, of which an rms is known well. */
  private static final int SCALES_DOCUMENTS = 256;

  private final SparkSession spark;
  private final CalibrateRequest request;
  private final Configuration configuration;
  private final ProfileFiles files;
  private final String runId = UUID.randomUUID().toString();
  private Progress progress = Progress.NONE;

  public CalibrateAction(SparkSession spark, CalibrateRequest request) {
    this.spark = spark;
    this.request = request;
    this.configuration = spark.sessionState().newHadoopConf();
    this.files = new ProfileFiles(request.output(), "profile tensors", configuration);
  }

  /** Shows progress while the calibration lasts. */
  public CalibrateAction progress(Progress shown) {
    progress = shown;
    return this;
  }

  /**
   * Runs it and writes the profile.
   *
   * @throws UserException for an input, model, profile or output that cannot be used, a corpus that is
   *     too small, or a loss that no thresholds keep within
   */
  public CalibrateResult execute() {
    long started = System.nanoTime();
    files.requireNew();
    spark.sparkContext()
        .setJobGroup("rollcall " + runId, "rollcall calibrate: " + request.input().path(), true);
    try {
      SparsityProfile profile = calibrate();
      files.write(profile);
      return new CalibrateResult(
          request.output(), profile, (System.nanoTime() - started) / 1e9);
    } finally {
      spark.sparkContext().clearJobGroup();
    }
  }

  private SparsityProfile calibrate() {
    ModelFiles modelFiles = ModelRegistry.process().files(request.model(), configuration);
    try (Model model = ModelReader.described(modelFiles)) {
      SparsityProfile given =
          request.profile() == null
              ? null
              : ProfileFiles.read(request.profile(), model, configuration);
      SparsityProfile profile = calibrate(model, given);
      return profile.predictors() == null || given.calibration() == null
          ? profile
          : profile.with(given.calibration().training());
    }
  }

  /** @param given the profile that the options name; null for none */
  private SparsityProfile calibrate(Model model, SparsityProfile given) {
    TaskSetup setup = TaskSetup.of(request.model(), request.decoding(), configuration);
    CalibrationStart start = CalibrationStart.of(request, given, files.tensorsName());
    PromptTable table = PromptTable.open(spark, request.input(), request.references());
    long rows = table.requireRows();
    if (request.maxLoss() != null) {
      return search(setup, start, model, table, rows);
    }
    Calibrator.Target target = scaled(setup, start, table, rows);
    CalibrationJob.Sketched sketched = sketch(setup, target, table, rows);
    requireEnough(sketched, table);
    return Calibrator.profile(
            sketched.modelDigest(),
            target,
            new double[] {request.sparsity()},
            sketched.scores(),
            request.input().path(),
            sketched.documents())
        .with(start.corrections());
  }

  private SparsityProfile search(
      TaskSetup setup, CalibrationStart start, Model model, PromptTable table, long rows) {
    SearchCorpus corpus = SearchCorpus.of(table, request);
    PromptTable seen = HeldOut.without(corpus.heldOut(), spark, table);
    long seenRows = rows - corpus.heldOut().size();
    Calibrator.Target target = scaled(setup, start, seen, seenRows);
    progress.say("sketching scores");
    CalibrationJob.Sketched sketched = sketch(setup, target, seen, seenRows);
    requireEnough(sketched, table);
    if (request.references() == null) {
      progress.say("answering the documents, dense");
      corpus =
          corpus.answered(
              documents ->
                  DenseAnswersTask.run(context(), setup, documents, partitions(documents.size())));
    }
    return new ProfileSearch(
            target,
            start.corrections(),
            sketched,
            corpus,
            cost(model),
            request.decoding(),
            measuring(setup),
            progress)
        .search(
            request.maxLoss(), request.uniform(), request.largestOnly(), request.input().path());
  }

  private ProfileSearch.Measuring measuring(TaskSetup setup) {
    return (profiles, decoding, documents, partitions) -> {
      EvaluationTask.Work work =
          new EvaluationTask.Work(runId, setup.with(decoding), profiles, false);
      return EvaluationTask.sum(EvaluationTask.run(context(), work, documents, partitions));
    };
  }

  private JavaSparkContext context() {
    return JavaSparkContext.fromSparkContext(spark.sparkContext());
  }

  private FeedForwardCost cost(Model model) {
    return new FeedForwardCost(
        model.config().hiddenSize(), model.config().intermediateSize(), request.model().weights());
  }

  /** The target with neuron scales, gathered where it has none and wants some. */
  private Calibrator.Target scaled(
      TaskSetup setup, CalibrationStart start, PromptTable table, long rows) {
    Calibrator.Target target = start.target();
    if (!start.gathersScales()) {
      return target;
    }
    List<Document> sample = table.referenced(SCALES_DOCUMENTS);
    progress.say(
        String.format(
            Locale.ROOT, "gathering neuron scales from %,d documents", sample.size()));
    boolean references = request.references() != null;
    CalibrationJob.Work work = new CalibrationJob.Work(runId, setup, target, references);
    FactorMoments moments = FactorTask.run(context(), work, sample, partitions(sample.size()));
    if (moments.positions() == 0) {
      throw withoutPositions(rows, table);
    }
    return target.with(moments.scales(files.tensorsName()));
  }

  private CalibrationJob.Sketched sketch(
      TaskSetup setup, Calibrator.Target target, PromptTable table, long rows) {
    boolean references = request.references() != null;
    long seed = request.decoding().seed();
    JavaRDD<String[]> documents =
        table
            .prompts(partitions(rows))
            .javaRDD()
            .mapPartitions(
                (Iterator<Row> part) ->
                    DocumentRows.read(part, references, seed).stream()
                        .map(DocumentRows::text)
                        .iterator());
    CalibrationJob.Work work = new CalibrationJob.Work(runId, setup, target, references);
    Progress.Line line =
        (done, seconds) ->
            String.format(Locale.ROOT, "%,d of %,d documents sketched", done.prompts(), rows);
    try (var shown = progress.show(runId, line)) {
      return CalibrationJob.run(context(), work, documents);
    }
  }

  private int partitions(long rows) {
    return request.decoding().tasks(rows, BATCHES_PER_TASK, MOST_TASKS);
  }

  private void requireEnough(CalibrationJob.Sketched sketched, PromptTable table) {
    ScoreDistributions scores = sketched.scores();
    if (scores.positions() == 0) {
      throw withoutPositions(sketched.documents(), table);
    }
    for (int bucket = scores.buckets() - 1; bucket >= 0; bucket--) {
      if (scores.groups(bucket) < ENOUGH_STEPS) {
        int batch = Math.min(BatchBuckets.largest(bucket), request.decoding().batchSize());
        throw new UserException(
            String.format(
                Locale.ROOT,
                "input '%s' is too small: its %d documents have %d decode positions, of which %d steps"
                    + " had %d sequences in flight, and %d are enough; give more documents or a smaller"
                    + " --batch-size",
                request.input().path(),
                sketched.documents(),
                scores.positions(),
                scores.groups(bucket),
                batch,
                ENOUGH_STEPS));
      }
    }
  }

  private UserException withoutPositions(long documents, PromptTable table) {
    return request.references() == null
        ? new UserException(
            "none of the " + documents + " prompts of input '" + request.input().path()
                + "' reached a decode step; give prompts that can be answered")
        : table.withoutReferences(documents);
  }
}
