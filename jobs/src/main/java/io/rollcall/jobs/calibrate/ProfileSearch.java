package io.rollcall.jobs.calibrate;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.calibration.ScoreDistributions;
import io.rollcall.engine.calibration.SparsitySearch;
import io.rollcall.engine.calibration.SparsitySearch.Documents;
import io.rollcall.engine.calibration.SparsitySearch.Point;
import io.rollcall.engine.evaluation.Evaluation;
import io.rollcall.engine.evaluation.PlanScores;
import io.rollcall.engine.evaluation.PositionSums;
import io.rollcall.engine.evaluation.StepSums;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Corrections;
import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.generate.CalibrationJob;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.runtime.Progress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * Searches the sparsities of all layers, a batch bucket at a time, with measurements that the executors
 * make in real batches.
 */
final class ProfileSearch {
  /** Documents that say what a single layer does. */
  private static final int SENSITIVITY_DOCUMENTS = 64;
  /** The same in batches, for the steps at the end are not full. */
  private static final int SENSITIVITY_BATCHES = 8;
  private static final int BATCHES_PER_TASK = 4;
  private static final int MOST_TASKS = 16;
  /** Sequences that are decoded together where each is to run as if alone. */
  private static final int ALONE_TOGETHER = 16;

  private final Calibrator.Target target;
  private final Corrections corrections;
  private final CalibrationJob.Sketched sketched;
  private final SearchCorpus corpus;
  private final FeedForwardCost cost;
  private final Decoding decoding;
  private final Measuring measuring;
  private final Progress progress;

  /** Runs profiles beside dense on documents' references. */
  interface Measuring {
    Evaluation measure(
        List<SparsityProfile> profiles,
        Decoding decoding,
        List<Document> documents,
        int partitions);
  }

  /** @param corrections that the profiles run with; null for none */
  ProfileSearch(
      Calibrator.Target target,
      Corrections corrections,
      CalibrationJob.Sketched sketched,
      SearchCorpus corpus,
      FeedForwardCost cost,
      Decoding decoding,
      Measuring measuring,
      Progress progress) {
    this.target = target;
    this.corrections = corrections;
    this.sketched = sketched;
    this.corpus = corpus;
    this.cost = cost;
    this.decoding = decoding;
    this.measuring = measuring;
    this.progress = progress;
  }

  /**
   * @param maxLoss rise of perplexity allowed in each bucket
   * @param uniform whether all layers of a bucket get the same sparsity
   * @param largestOnly whether only the largest bucket is searched for, and its sparsities given to the
   *     others: a union of the same density costs a smaller batch less
   * @param name what to call the documents in the profile
   * @throws UserException when no thresholds keep within it, or no step was full
   */
  SparsityProfile search(
      double maxLoss, boolean uniform, boolean largestOnly, String name) {
    ScoreDistributions scores = sketched.scores();
    int buckets = scores.buckets();
    float[][] thresholds = new float[buckets][];
    double[][] chosen = new double[buckets][];
    List<SparsityProfile.BucketSearch> found = new ArrayList<>();
    for (int k = largestOnly ? buckets - 1 : 0; k < buckets; k++) {
      int bucket = k;
      int batch = batch(bucket);
      SparsitySearch.Result result =
          new SparsitySearch(
                  scores.thresholds(0.5)[0].length,
                  maxLoss,
                  (plans, documents) -> measure(bucket, plans, documents))
              .search();
      found.add(account(batch, result));
      chosen[bucket] = (uniform ? result.uniform() : result.allocated()).heldOut().sparsity();
    }
    for (int k = 0; k < buckets; k++) {
      chosen[k] = chosen[k] == null ? chosen[buckets - 1] : chosen[k];
      thresholds[k] = thresholds(k, chosen[k]);
    }
    return Calibrator.profile(
            sketched.modelDigest(),
            target,
            Arrays.stream(chosen).mapToDouble(ProfileSearch::mean).toArray(),
            thresholds,
            scores,
            name,
            sketched.documents(),
            new SparsityProfile.Search(
                maxLoss, corpus.searched().size(), corpus.heldOut().size(), found))
        .with(corrected(chosen));
  }

  /** Of all layers, to five places. */
  private static double mean(double[] sparsity) {
    return Math.round(1e5 * Arrays.stream(sparsity).average().orElseThrow()) / 1e5;
  }

  /** The corrections of layers that drop something in some bucket; others have nothing to correct. */
  private Corrections corrected(double[][] sparsity) {
    return corrections == null
        ? null
        : corrections.of(layer -> Arrays.stream(sparsity).anyMatch(bucket -> bucket[layer] > 0));
  }

  /** The same of a bucket's plan, which may run in steps of another batch size. */
  private Corrections corrected(int bucket, double[] plan) {
    return corrections == null ? null : corrections.of(layer -> plan[layer] > 0).only(bucket);
  }

  /** Under own the batch is of no matter to the loss, but it is to the bytes: the one asked for. */
  private int batch(int bucket) {
    return target.union() instanceof UnionStrategy.Own
        ? target.batchSize()
        : Math.min(BatchBuckets.largest(bucket), target.batchSize());
  }

  private SparsityProfile.BucketSearch account(int batch, SparsitySearch.Result result) {
    Point allocated = result.allocated().heldOut();
    Point uniform = result.uniform().heldOut();
    progress.say(
        String.format(
            Locale.ROOT,
            "batch %d: %.1f %% of the bytes at a loss of %.2f %% on documents not searched with;"
                + " with all layers alike %.1f %% at %.2f %%",
            batch,
            100 * allocated.bytes(),
            100 * allocated.loss(),
            100 * uniform.bytes(),
            100 * uniform.loss()));
    return new SparsityProfile.BucketSearch(
        batch,
        allocated.sparsity(),
        allocated.loss(),
        allocated.bytes(),
        uniform.sparsity()[0],
        uniform.loss(),
        uniform.bytes());
  }

  private float[] thresholds(int bucket, double[] sparsity) {
    float[] thresholds = new float[sparsity.length];
    for (int layer = 0; layer < thresholds.length; layer++) {
      thresholds[layer] = sketched.scores().threshold(bucket, layer, sparsity[layer]);
    }
    return thresholds;
  }

  private List<Point> measure(int bucket, List<double[]> plans, Documents documents) {
    int batch = batch(bucket);
    // for one sequence shared is own, and with own a step of many is that of each
    boolean alone = batch == 1 && target.union() instanceof UnionStrategy.Shared;
    int slots = alone ? ALONE_TOGETHER : batch;
    List<Document> on = documents(documents, slots);
    progress.say(
        String.format(
            Locale.ROOT, "batch %d: measuring %d plans on %d documents", batch, plans.size(), on.size()));
    List<SparsityProfile> profiles =
        plans.stream()
            .map(
                plan ->
                    new SparsityProfile(
                        sketched.modelDigest(),
                        target.method(),
                        alone ? new UnionStrategy.Own() : target.union(),
                        plan,
                        new float[][] {thresholds(bucket, plan)},
                        null,
                        target.predictors(),
                        corrected(bucket, plan),
                        target.neuronScales()))
            .toList();
    Decoding inBatches =
        new Decoding(
            slots,
            decoding.maxNewTokens(),
            decoding.context(),
            0,
            1,
            decoding.seed(),
            decoding.template());
    Evaluation evaluation =
        measuring.measure(
            profiles, inBatches, on, inBatches.tasks(on.size(), BATCHES_PER_TASK, MOST_TASKS));
    PositionSums dense = evaluation.plans().get(0).total();
    if (dense.tokens() == 0) {
      throw new UserException(
          String.format(
              "no step had %d documents in flight: %d were measured and left out were %s; give more"
                  + " documents or a smaller --batch-size",
              slots, evaluation.documents(), evaluation.leftOut()));
    }
    return IntStream.range(0, plans.size())
        .mapToObj(
            i -> {
              PlanScores scores = evaluation.plans().get(i + 1);
              StepSums steps = scores.steps().getOrDefault(slots, StepSums.NONE);
              return point(
                  plans.get(i),
                  scores.total(),
                  dense,
                  alone
                      ? bytesAlone(steps.ownDensity(), profiles.get(i).corrections())
                      : (double) steps.bytesRead() / steps.bytesDense());
            })
        .toList();
  }

  private List<Document> documents(Documents which, int batch) {
    List<Document> searched = corpus.searched();
    return switch (which) {
      case SENSITIVITY ->
          searched.subList(
              0,
              Math.min(
                  searched.size(),
                  Math.max(SENSITIVITY_DOCUMENTS, SENSITIVITY_BATCHES * batch)));
      case SEARCH -> searched;
      case HELD_OUT -> corpus.heldOut();
    };
  }

  /** To dense, of a sequence that loads what it calls itself. */
  private double bytesAlone(double density, Corrections corrections) {
    int rows = (int) Math.round(density * cost.intermediate());
    long predictor = target.predictors() == null ? 0 : target.predictors().bytes();
    double corrected =
        corrections == null
            ? 0
            : corrections.layers().stream().mapToLong(cost::read).average().orElse(0);
    return (cost.read(target.method(), rows, predictor) + cost.read(target.neuronScales()) + corrected)
        / cost.dense();
  }

  private static Point point(
      double[] sparsity, PositionSums sums, PositionSums dense, double bytes) {
    return new Point(
        sparsity,
        sums.perplexity() / dense.perplexity() - 1,
        sums.divergence() / sums.tokens(),
        bytes);
  }
}
