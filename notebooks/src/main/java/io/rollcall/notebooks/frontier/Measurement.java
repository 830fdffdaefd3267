package io.rollcall.notebooks.frontier;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.calibration.ScoreDistributions;
import io.rollcall.engine.evaluation.Bootstrap;
import io.rollcall.engine.evaluation.Evaluation;
import io.rollcall.engine.evaluation.PlanScores;
import io.rollcall.engine.evaluation.StepSums;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.analysis.FrontierPoint;
import io.rollcall.jobs.evaluate.EvaluationTask;
import io.rollcall.jobs.evaluate.PerplexityLoss;
import io.rollcall.jobs.generate.CalibrationJob;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.generate.TaskSetup;
import io.rollcall.jobs.input.DocumentRows;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.input.PromptTable;
import io.rollcall.jobs.recovery.RecoverAction;
import io.rollcall.jobs.recovery.RecoverRequest;
import io.rollcall.jobs.runtime.BackendChoice;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.ProfileFiles;
import io.rollcall.kernels.WeightType;
import io.rollcall.notebooks.frontier.Grid.Wanted;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/**
 * Measures configurations on documents with references, many side by side, so that prompts are prefilled
 * once.
 */
final class Measurement {
  /** Thresholds of every batch size up to it come from one sketch of a method's scores. */
  private static final int LARGEST_BATCH = 64;

  private static final int NEW_TOKENS = 40;

  /** The last batches of a task run out of documents, and are not counted. */
  private static final int BATCHES_PER_TASK = 4;

  /** Of enough documents each that steps of the largest batch are seen. */
  private static final int SKETCHING_TASKS = 2;

  private final SparkSession spark;
  private final JavaSparkContext context;
  private final Configuration hadoop;
  private final Model model;
  private final PromptSource calibration;
  private final String references;
  private final List<String[]> fitted;
  private final List<Document> measured;
  private final Predictors predictors;
  private final Path work;
  private final Map<String, ScoreDistributions> scores = new HashMap<>();
  private final Map<Integer, PlanScores> dense = new HashMap<>();

  /**
   * @param model its head
   * @param calibration documents for thresholds and corrections
   * @param measured documents that neither sees
   * @param references column of the answers, in both
   * @param predictors of d-countdown or s-countdown; null without
   * @param work folder of the profiles with corrections
   */
  Measurement(
      SparkSession spark,
      Model model,
      PromptSource calibration,
      PromptSource measured,
      String references,
      Predictors predictors,
      Path work) {
    this.spark = spark;
    context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    hadoop = spark.sessionState().newHadoopConf();
    this.model = model;
    this.calibration = calibration;
    this.references = references;
    fitted =
        PromptTable.open(spark, calibration, references).referenced().stream()
            .map(DocumentRows::text)
            .toList();
    this.measured = PromptTable.open(spark, measured, references).referenced();
    this.predictors = predictors;
    this.work = work;
  }

  /**
   * The points of configurations that have the same weights. Those whose corrections do harm are left
   * out.
   */
  List<FrontierPoint> points(int batchSize, WeightType weights, List<Wanted> wanted) {
    List<Wanted> measurable = new ArrayList<>();
    List<SparsityProfile> profiles = new ArrayList<>();
    for (Wanted one : wanted) {
      if (one.method().sparse()) {
        try {
          profiles.add(profile(batchSize, one));
          measurable.add(one);
        } catch (UserException e) {
          System.err.println("frontier: left out " + one + ": " + e.getMessage());
        }
      }
    }
    Evaluation evaluation = evaluate(batchSize, weights, profiles);
    List<FrontierPoint> points = new ArrayList<>();
    wanted.stream()
        .filter(one -> !one.method().sparse())
        .forEach(one -> points.add(point(batchSize, one, null, evaluation.plans().get(0))));
    IntStream.range(0, profiles.size())
        .forEach(
            i ->
                points.add(
                    point(batchSize, measurable.get(i), null, evaluation.plans().get(i + 1))));
    return points;
  }

  /** The points of profiles found elsewhere, in bf16. */
  List<FrontierPoint> points(int batchSize, Map<String, SparsityProfile> given) {
    List<SparsityProfile> profiles = List.copyOf(given.values());
    List<String> names = List.copyOf(given.keySet());
    Evaluation evaluation = evaluate(batchSize, WeightType.BF16, profiles);
    return IntStream.range(0, profiles.size())
        .mapToObj(
            i ->
                point(
                    batchSize,
                    given(batchSize, profiles.get(i)),
                    names.get(i),
                    evaluation.plans().get(i + 1)))
        .toList();
  }

  /** What a given profile is a configuration of. */
  static Wanted given(int batchSize, SparsityProfile profile) {
    int bucket =
        Math.min(
            BatchBuckets.of(batchSize), profile.sparsity().length - 1);
    return new Wanted(
        profile.method(),
        profile.union(),
        WeightType.BF16,
        profile.corrections() != null,
        Math.round(1000 * profile.sparsity()[bucket]) / 1000.0);
  }

  private Evaluation evaluate(int batchSize, WeightType weights, List<SparsityProfile> profiles) {
    TaskSetup setup =
        TaskSetup.of(model(weights), Decoding.greedy(batchSize, NEW_TOKENS), hadoop);
    EvaluationTask.Work work = new EvaluationTask.Work("frontier", setup, profiles, false);
    int tasks = setup.decoding().tasks(measured.size(), BATCHES_PER_TASK, context.defaultParallelism());
    Evaluation evaluation =
        EvaluationTask.sum(EvaluationTask.run(context, work, measured, tasks));
    if (weights == WeightType.BF16) {
      dense.put(batchSize, evaluation.plans().get(0));
    }
    return evaluation;
  }

  private FrontierPoint point(int batchSize, Wanted wanted, String profile, PlanScores plan) {
    if (!dense.containsKey(batchSize)) {
      evaluate(batchSize, WeightType.BF16, List.of());
    }
    PerplexityLoss loss =
        PerplexityLoss.of(
            plan, dense.get(batchSize), new Bootstrap(plan.documents().size(), 0));
    StepSums steps = plan.steps().get(batchSize);
    double bytes = (double) steps.bytesRead() / steps.bytesDense();
    double precision =
        (double) cost(wanted.weights()).dense() / cost(WeightType.BF16).dense();
    return new FrontierPoint(
        batchSize,
        wanted.method().toString(),
        wanted.union().toString(),
        wanted.weights().name().toLowerCase(Locale.ROOT),
        wanted.recovery(),
        wanted.sparsity(),
        profile,
        rounded(bytes * precision),
        rounded(bytes),
        rounded(loss.value()),
        rounded(loss.interval().low()),
        rounded(loss.interval().high()),
        rounded(steps.unionDensity()));
  }

  private static double rounded(double value) {
    return Math.round(1e5 * value) / 1e5;
  }

  private FeedForwardCost cost(WeightType weights) {
    return new FeedForwardCost(
        model.config().hiddenSize(), model.config().intermediateSize(), weights);
  }

  private ModelSource model(WeightType weights) {
    return new ModelSource(model.name(), weights, BackendChoice.CPU);
  }

  private SparsityProfile profile(int batchSize, Wanted wanted) {
    Calibrator.Target target = target(wanted);
    float[][] thresholds = scores(wanted, target).thresholds(wanted.sparsity());
    boolean own = wanted.union() instanceof UnionStrategy.Own;
    SparsityProfile plain =
        new SparsityProfile(
            model.digest(),
            target.method(),
            wanted.union(),
            new double[] {wanted.sparsity()},
            own ? new float[][] {thresholds[0]} : thresholds,
            null,
            target.predictors());
    return wanted.recovery() ? recovered(batchSize, wanted, plain) : plain;
  }

  private Calibrator.Target target(Wanted wanted) {
    return new Calibrator.Target(
        wanted.method(),
        wanted.method().needsPredictor() ? predictors : null,
        new UnionStrategy.Shared(),
        LARGEST_BATCH);
  }

  private ScoreDistributions scores(Wanted wanted, Calibrator.Target target) {
    return scores.computeIfAbsent(
        wanted.method() + " " + wanted.weights(),
        any -> {
          System.err.println("frontier: sketching scores of " + any);
          TaskSetup setup =
              TaskSetup.of(
                  model(wanted.weights()), Decoding.greedy(LARGEST_BATCH, NEW_TOKENS), hadoop);
          return CalibrationJob.run(
                  context,
                  new CalibrationJob.Work("frontier", setup, target, true),
                  context.parallelize(fitted, SKETCHING_TASKS))
              .scores();
        });
  }

  /** With corrections for the batch size, kept for the next time. */
  private SparsityProfile recovered(int batchSize, Wanted wanted, SparsityProfile plain) {
    String weights =
        wanted.weights() == WeightType.BF16
            ? ""
            : "-" + wanted.weights().name().toLowerCase(Locale.ROOT);
    String name =
        String.format(
            Locale.ROOT,
            "%s-%s-%d-%s%s",
            wanted.method(),
            wanted.union().toString().replace(':', '-'), // Hadoop's paths have no colon
            batchSize,
            wanted.sparsity(),
            weights);
    Path output = work.resolve(name + "-recovered.json");
    if (Files.exists(output)) {
      return ProfileFiles.read(output.toString(), model, hadoop);
    }
    Path profile = work.resolve(name + ".json");
    if (!Files.exists(profile)) {
      new ProfileFiles(profile.toString(), "predictor", hadoop)
          .write(
              plain.predictors() == null
                  ? plain
                  : plain.with(new Predictors(name + ".safetensors", predictors.layers())));
    }
    System.err.println("frontier: fitting corrections of " + name);
    return new RecoverAction(
            spark,
            new RecoverRequest(
                calibration,
                references,
                model(wanted.weights()),
                profile.toString(),
                null,
                null,
                Decoding.greedy(batchSize, NEW_TOKENS),
                output.toString()))
        .execute()
        .profile();
  }
}
