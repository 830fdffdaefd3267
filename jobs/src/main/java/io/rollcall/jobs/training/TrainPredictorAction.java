package io.rollcall.jobs.training;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.training.LayerSamples;
import io.rollcall.engine.training.PredictorQuality;
import io.rollcall.engine.training.TrainingOptions;
import io.rollcall.jobs.generate.CalibrationJob;
import io.rollcall.jobs.generate.Failures;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.input.PromptTable;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ProfileFiles;
import io.rollcall.jobs.runtime.Progress;
import io.rollcall.jobs.runtime.TemplateSource;
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
import org.apache.spark.util.SerializableConfiguration;
import scala.Tuple2;

/**
 * Trains the predictors of d-countdown or s-countdown: the oracle's thresholds on a few documents, then
 * inputs and oracle scores of decode positions from all executors, then a layer a task, then the
 * logits' thresholds on held-out documents. Writes a profile and the predictors beside it.
 */
public final class TrainPredictorAction {
  private static final int THRESHOLD_DOCUMENTS = 64;
  /** Positions of one task of gathering, where documents are many. */
  private static final int POSITIONS_PER_TASK = 1024;
  /** Most that it holds until it ends. */
  private static final long BYTES_PER_TASK = 256L << 20;
  /** Below, a task's batch is never full. */
  private static final int DOCUMENTS_PER_TASK = 16;
  /** Enough that some can be held out, if there are as many documents. */
  private static final int FEWEST_TASKS = 8;
  /** Positions that a judgement takes at least. */
  private static final int ENOUGH_HELD_OUT = 32;

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

  /** What is known of the model before its weights are loaded. */
  private record Described(String name, String digest, ModelConfig config) {}

  /** Positions gathered, by whether they are trained on. */
  private record Counts(long training, long heldOut) {}

  /**
   * Runs it.
   *
   * @throws UserException for an input, model, rank or output that cannot be used, or an input with too
   *     few decode positions
   */
  public TrainPredictorResult execute() {
    long started = System.nanoTime();
    files.requireAbsent();
    describe("checks");
    try {
      Described model = model();
      TrainingOptions options =
          request.training(model.config().hiddenSize(), model.config().intermediateSize());
      options.requireFits(model.config().hiddenSize(), model.name());
      PromptTable table = PromptTable.open(spark, limited(), request.references());
      long rows = table.rowCount();
      if (rows < 2) {
        throw new UserException(
            "input '" + request.input().path() + "' has " + rows
                + " rows; training takes some documents and holds out others: give hundreds");
      }
      int partitions = partitions(rows, model.config());
      JavaRDD<Row> documents = table.prompts(partitions).javaRDD();
      List<TrainedLayer> layers;
      SparsityProfile profile;
      Broadcast<Gathering> gathering = context().broadcast(gathering());
      try {
        HoldOut holdOut = new HoldOut(partitions);
        List<String[]> sample = sample(documents, holdOut);
        describe("thresholds of " + request.method().oracle());
        SparsityProfile oracle = oracle(select(sample, holdOut, false));
        JavaPairRDD<Integer, Tuple2<Integer, byte[]>> gathered =
            JavaPairRDD.fromJavaRDD(
                documents.mapPartitionsWithIndex(
                    gatherTask(gathering, oracle, holdOut, model.config()), true))
                .persist(StorageLevel.DISK_ONLY());
        try {
          Counts counts = gather(gathered, holdOut, model.config());
          requireEnough(counts, options);
          layers = train(gathered, options, holdOut, model.config());
          describe("thresholds of " + request.method());
          profile =
              predicted(layers, select(sample, holdOut, true))
                  .with(account(options, counts, layers));
        } finally {
          gathered.unpersist(false);
        }
      } finally {
        gathering.destroy();
      }
      files.write(profile);
      return new TrainPredictorResult(
          request.output(), files.tensors(), profile, layers, (System.nanoTime() - started) / 1e9);
    } finally {
      spark.sparkContext().clearJobGroup();
    }
  }

  private JavaSparkContext context() {
    return JavaSparkContext.fromSparkContext(spark.sparkContext());
  }

  private void describe(String what) {
    spark.sparkContext()
        .setJobGroup("rollcall " + runId, "rollcall train-predictor: " + what, true);
  }

  private Described model() {
    ModelFiles files = ModelRegistry.process().files(request.model(), configuration);
    try (Model model = ModelReader.described(files)) {
      return new Described(model.name(), model.digest(), model.config());
    }
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

  /** By the input and the options alone, not by the cluster, so that a training can be repeated. */
  private int partitions(long rows, ModelConfig config) {
    long byWork =
        Math.min(ceil(request.positions(), POSITIONS_PER_TASK), rows / DOCUMENTS_PER_TASK);
    long byMemory = ceil(request.positions(), mostPositions(config));
    return (int) Math.min(rows, Math.max(FEWEST_TASKS, Math.max(byWork, byMemory)));
  }

  /** Positions that a task may hold. */
  private static int mostPositions(ModelConfig config) {
    long bytes =
        (long) config.layers() * LayerSamples.bytes(config.hiddenSize(), config.intermediateSize());
    return (int) Math.max(1, BYTES_PER_TASK / bytes);
  }

  private static long ceil(long a, long b) {
    return (a + b - 1) / b;
  }

  private Gathering gathering() {
    return new Gathering(
        runId,
        request.model(),
        request.method().oracle(),
        request.references() != null,
        request.decoding(),
        TemplateSource.read(request.decoding().template(), configuration),
        new SerializableConfiguration(configuration));
  }

  private List<String[]> sample(JavaRDD<Row> documents, HoldOut holdOut) {
    return documents
        .mapPartitionsWithIndex(
            new SampleTask(
                holdOut,
                THRESHOLD_DOCUMENTS,
                request.references() != null,
                request.decoding().seed()),
            true)
        .collect();
  }

  private static List<String[]> select(List<String[]> sample, HoldOut holdOut, boolean heldOut) {
    return sample.stream()
        .filter(document -> holdOut.holds(Integer.parseInt(document[0])) == heldOut)
        .toList();
  }

  /** The oracle's own thresholds: which neurons one sequence would call. */
  private SparsityProfile oracle(List<String[]> sample) {
    return thresholds(
        new Calibrator.Target(request.method().oracle(), null, new UnionStrategy.Own(), 1), sample);
  }

  private SparsityProfile thresholds(Calibrator.Target target, List<String[]> sample) {
    return CalibrationJob.sample(
        context(),
        new CalibrationJob.Work(
            runId,
            request.model(),
            target,
            request.references() != null,
            request.decoding(),
            TemplateSource.read(request.decoding().template(), configuration),
            new SerializableConfiguration(configuration)),
        sample.stream().map(d -> new Document(d[1], d[2], d[3])).toList(),
        request.sparsity(),
        request.input().path());
  }

  private GatherTask gatherTask(
      Broadcast<Gathering> gathering,
      SparsityProfile oracle,
      HoldOut holdOut,
      ModelConfig config) {
    long share = ceil(request.positions(), holdOut.partitions());
    return new GatherTask(
        gathering,
        oracle.thresholds()[0],
        holdOut,
        (int) Math.min(share, mostPositions(config)),
        request.continuations(),
        request.decoding().seed());
  }

  private Counts gather(
      JavaPairRDD<Integer, Tuple2<Integer, byte[]>> gathered, HoldOut holdOut, ModelConfig config) {
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
    long training = 0;
    long heldOut = 0;
    for (Tuple2<Integer, Integer> count : counts) {
      if (holdOut.holds(count._1())) {
        heldOut += count._2();
      } else {
        training += count._2();
      }
    }
    return new Counts(training, heldOut);
  }

  private void requireEnough(Counts counts, TrainingOptions options) {
    int enough = TrainingOptions.enough(options.rank());
    if (counts.training() < enough || counts.heldOut() < ENOUGH_HELD_OUT) {
      throw new UserException(
          String.format(
              Locale.ROOT,
              "input '%s' has %d decode positions to train on and %d to hold out; rank %d takes at least"
                  + " %d and %d: give more documents, --continuations, more --positions or a lower --rank",
              request.input().path(),
              counts.training(),
              counts.heldOut(),
              options.rank(),
              enough,
              ENOUGH_HELD_OUT));
    }
  }

  private List<TrainedLayer> train(
      JavaPairRDD<Integer, Tuple2<Integer, byte[]>> gathered,
      TrainingOptions options,
      HoldOut holdOut,
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

  private SparsityProfile predicted(List<TrainedLayer> layers, List<String[]> sample) {
    Predictors predictors =
        new Predictors(
            files.tensorsName(),
            layers.stream().map(layer -> layer.trained().predictor()).toList());
    return thresholds(
        new Calibrator.Target(
            request.method(), predictors, request.union(), request.decoding().batchSize()),
        sample);
  }

  private static SparsityProfile.Training account(
      TrainingOptions options, Counts counts, List<TrainedLayer> layers) {
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
