package io.rollcall.jobs.training;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.training.LayerSamples;
import io.rollcall.engine.training.PredictorQuality;
import io.rollcall.engine.training.TrainingOptions;
import io.rollcall.jobs.generate.CalibrationJob;
import io.rollcall.jobs.generate.Failures;
import io.rollcall.jobs.generate.TaskSetup;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.input.PromptTable;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ProfileFiles;
import io.rollcall.jobs.runtime.Progress;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.HashPartitioner;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.storage.StorageLevel;
import scala.Tuple2;

/**
 * Trains the predictors of d-countdown or s-countdown: the oracle's thresholds on a few documents, then
 * inputs and oracle scores of decode positions from all executors, then a layer a task, then the
 * logits' thresholds on held-out documents. Writes a profile and the predictors beside it.
 */
public final class TrainPredictorAction {
  private final SparkSession spark;
  private final TrainPredictorRequest request;
  private final Configuration configuration;
  private final ProfileFiles files;
  private final String runId = UUID.randomUUID().toString();
  private Progress progress = Progress.NONE;

  public TrainPredictorAction(SparkSession spark, TrainPredictorRequest request) {
    this.spark = spark;
    this.request = request;
    this.configuration = spark.sessionState().newHadoopConf();
    files = new ProfileFiles(request.output(), "predictor", configuration);
  }

  /** Shows progress while the training lasts. */
  public TrainPredictorAction progress(Progress shown) {
    progress = shown;
    return this;
  }

  /**
   * Runs it.
   *
   * @throws UserException for an input, model, rank or output that cannot be used, or an input with too
   *     few decode positions
   */
  public TrainPredictorResult execute() {
    long started = System.nanoTime();
    files.requireNew();
    describe("checks");
    ModelFiles modelFiles = ModelRegistry.process().files(request.model(), configuration);
    try (Model model = ModelReader.described(modelFiles)) {
      ModelConfig config = model.config();
      TrainingOptions options =
          request.training(config.hiddenSize(), config.intermediateSize());
      options.requireFits(config.hiddenSize(), model.name());
      Trained trained = train(options, config);
      files.write(trained.profile());
      return new TrainPredictorResult(
          request.output(),
          files.tensors(),
          trained.profile(),
          trained.layers(),
          (System.nanoTime() - started) / 1e9);
    } finally {
      spark.sparkContext().clearJobGroup();
    }
  }

  private record Trained(SparsityProfile profile, List<TrainedLayer> layers) {}

  private Trained train(TrainingOptions options, ModelConfig config) {
    boolean references = request.references() != null;
    TaskSetup setup = TaskSetup.of(request.model(), request.decoding(), configuration);
    PromptTable table = PromptTable.open(spark, limited(), request.references());
    GatherPlan plan = GatherPlan.of(request.positions(), rows(table), config);
    HeldOutPartitions holdOut = plan.holdOut();
    JavaRDD<Row> documents = table.prompts(holdOut.partitions()).javaRDD();
    ThresholdSample sample =
        ThresholdSample.of(documents, holdOut, references, request.decoding().seed());
    Method oracle = request.method().oracle();
    describe("thresholds of " + oracle);
    // the oracle's own: which neurons one sequence would call
    SparsityProfile called =
        thresholds(
            setup,
            new Calibrator.Target(oracle, null, new UnionStrategy.Own(), 1),
            sample.training());
    Broadcast<Gathering> gathering =
        context()
            .broadcast(
                new Gathering(
                    runId,
                    setup,
                    oracle,
                    called.thresholds()[0],
                    holdOut,
                    plan.share(),
                    references,
                    request.continuations()));
    JavaPairRDD<Integer, Tuple2<Integer, byte[]>> gathered =
        JavaPairRDD.fromJavaRDD(
                documents.mapPartitionsWithIndex(new GatherTask(gathering), true))
            .persist(StorageLevel.DISK_ONLY());
    try {
      PositionCounts counts = gather(gathered, holdOut, config);
      counts.requireEnough(options.rank(), request.input().path());
      List<TrainedLayer> layers = train(gathered, options, holdOut, config);
      describe("thresholds of " + request.method());
      SparsityProfile predicted =
          thresholds(setup, predicting(layers), sample.heldOut())
              .with(account(options, counts, layers));
      return new Trained(predicted, layers);
    } finally {
      gathered.unpersist(false);
      gathering.destroy();
    }
  }

  private JavaSparkContext context() {
    return JavaSparkContext.fromSparkContext(spark.sparkContext());
  }

  private void describe(String what) {
    spark.sparkContext()
        .setJobGroup("rollcall " + runId, "rollcall train-predictor: " + what, true);
  }

  /** A document has a decode position or more, so none beyond the positions wanted are looked at. */
  private PromptSource limited() {
    PromptSource source = request.input();
    long limit =
        source.limit() == 0
            ? request.positions()
            : Math.min(source.limit(), request.positions());
    return new PromptSource(
        source.path(), source.idColumn(), source.promptColumn(), List.of(), Math.max(2, limit));
  }

  private long rows(PromptTable table) {
    long rows = table.rowCount();
    if (rows < 2) {
      throw new UserException(
          "input '" + request.input().path() + "' has " + rows
              + " rows; training takes some documents and holds out others: give hundreds");
    }
    return rows;
  }

  private SparsityProfile thresholds(
      TaskSetup setup, Calibrator.Target target, List<Document> sample) {
    return CalibrationJob.sample(
        context(),
        new CalibrationJob.Work(runId, setup, target, request.references() != null),
        sample,
        request.sparsity(),
        request.input().path());
  }

  private PositionCounts gather(
      JavaPairRDD<Integer, Tuple2<Integer, byte[]>> gathered,
      HeldOutPartitions holdOut,
      ModelConfig config) {
    describe("decode positions of " + request.input().path());
    int bytes = LayerSamples.bytes(config.hiddenSize(), config.intermediateSize());
    List<Tuple2<Integer, Integer>> counts =
        shown(
            (done, seconds) ->
                String.format(
                    Locale.ROOT,
                    "%,d of at most %,d decode positions gathered",
                    done.prompts(),
                    request.positions()),
            () ->
                gathered
                    .filter(chunk -> chunk._1() == 0)
                    .map(chunk -> new Tuple2<>(chunk._2()._1(), chunk._2()._2().length / bytes))
                    .collect());
    return PositionCounts.of(counts, holdOut);
  }

  private List<TrainedLayer> train(
      JavaPairRDD<Integer, Tuple2<Integer, byte[]>> gathered,
      TrainingOptions options,
      HeldOutPartitions holdOut,
      ModelConfig config) {
    describe("predictors of rank " + options.rank());
    int layers = config.layers();
    TrainTask task =
        new TrainTask(
            runId, options, holdOut, config.hiddenSize(), config.intermediateSize());
    return shown(
        (done, seconds) ->
            String.format(
                Locale.ROOT,
                "%,d of at most %,d epochs over %d layers, energy recalled %.3f",
                done.prompts(),
                (long) layers * options.epochs(),
                layers,
                done.unionDensity()),
        () ->
            gathered
                .groupByKey(new HashPartitioner(layers))
                .map(task)
                .collect()
                .stream()
                .sorted(Comparator.comparingInt(TrainedLayer::layer))
                .toList());
  }

  private Calibrator.Target predicting(List<TrainedLayer> layers) {
    Predictors predictors =
        new Predictors(
            files.tensorsName(),
            layers.stream().map(layer -> layer.trained().predictor()).toList());
    return new Calibrator.Target(
        request.method(), predictors, request.union(), request.decoding().batchSize());
  }

  private static SparsityProfile.Training account(
      TrainingOptions options, PositionCounts counts, List<TrainedLayer> layers) {
    return new SparsityProfile.Training(
        options.rank(),
        counts.training(),
        counts.heldOut(),
        byLayer(layers, PredictorQuality::recall),
        byLayer(layers, PredictorQuality::precision),
        byLayer(layers, PredictorQuality::energy));
  }

  private static double[] byLayer(
      List<TrainedLayer> layers, ToDoubleFunction<PredictorQuality> of) {
    return layers.stream()
        .mapToDouble(layer -> of.applyAsDouble(layer.trained().quality()))
        .toArray();
  }

  /** Runs a job under its progress line. */
  private <T> T shown(Progress.Line line, Supplier<T> job) {
    try (var shown = progress.show(runId, line)) {
      return Failures.explained(job);
    }
  }
}
