package io.rollcall.engine.calibration;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.runner.ScoreObserver;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.NeuronScales;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.text.PromptTemplate;
import java.io.Serializable;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds thresholds for a wanted sparsity by running a sample of prompts. */
public final class Calibrator {
  private static final Logger LOG = LoggerFactory.getLogger(Calibrator.class);

  private Calibrator() {}

  /**
   * What thresholds are wanted for.
   *
   * @param predictors of a method that predicts; null for others
   * @param neuronScales of the scores; null for ones
   * @param batchSize buckets up to it get thresholds
   */
  public record Target(
      Method method,
      Predictors predictors,
      NeuronScales neuronScales,
      UnionStrategy union,
      int batchSize)
      implements Serializable {

    /** Without neuron scales. */
    public Target(Method method, Predictors predictors, UnionStrategy union, int batchSize) {
      this(method, predictors, null, union, batchSize);
    }

    /** @throws UserException for dense, or a method that predicts without its predictors */
    public Target {
      if (!method.sparse()) {
        throw new UserException("method dense takes no sparsity");
      }
      if (method.needsPredictor() && predictors == null) {
        throw new UserException(
            "method " + method + " needs a profile with a predictor; give --profile, or use "
                + method.oracle() + " or m-countdown");
      }
    }

    /** The same with neuron scales. */
    public Target with(NeuronScales scales) {
      return new Target(method, predictors, scales, union, batchSize);
    }
  }

  /**
   * One pass over the sample's greedy dense generations.
   *
   * @param sparsity in (0, 1), by batch bucket; the last serves every larger one
   * @param batchSize buckets up to it get thresholds
   * @param sample prompt texts; those that cannot be answered are left out
   * @param corpus what to call the sample in the profile
   * @throws UserException when no prompt of the sample has a decode step
   */
  public static SparsityProfile calibrate(
      LoadedModel model,
      Method method,
      UnionStrategy union,
      double[] sparsity,
      int batchSize,
      int maxNewTokens,
      PromptTemplate template,
      List<String> sample,
      String corpus,
      int workers) {
    requireSparsity(sparsity);
    Target target = new Target(method, null, union, batchSize);
    var options = GenerationOptions.greedy(batchSize, maxNewTokens, model.config().context());
    Iterator<Document> documents =
        IntStream.range(0, sample.size())
            .mapToObj(i -> new Document(Integer.toString(i), sample.get(i), null))
            .iterator();
    ScoreDistributions scores =
        scores(
            model,
            target,
            new DecodePositions(model, null, template, options, workers),
            documents,
            false,
            0);
    return profile(model.digest(), target, sparsity, scores, corpus, sample.size());
  }

  /**
   * The scores at documents' decode positions.
   *
   * @param references whether to follow the documents' references, else the model's own answers
   * @param seed of the sketches
   * @throws UserException when the backend cannot show predictors' logits
   */
  public static ScoreDistributions scores(
      LoadedModel model,
      Target target,
      DecodePositions positions,
      Iterator<Document> documents,
      boolean references,
      long seed) {
    Method method = target.method();
    var config = model.config();
    ScoreSketches sketches =
        new ScoreSketches(
            target.union(),
            target.batchSize(),
            config.layers(),
            config.intermediateSize(),
            method.needsPredictor(),
            seed);
    ScoreObserver observer =
        target.neuronScales() == null
            ? sketches
            : new ScaledScores(sketches, target.neuronScales().floats());
    if (references) {
      positions.references(documents, method, target.predictors(), observer);
    } else {
      positions.continuations(documents, method, target.predictors(), observer);
    }
    return sketches.distributions();
  }

  /**
   * The factor that the method's scores leave out, at documents' decode positions.
   *
   * @param method cats or m-countdown
   * @param references whether to follow the documents' references, else the model's own answers
   */
  public static FactorMoments factors(
      LoadedModel model,
      Method method,
      DecodePositions positions,
      Iterator<Document> documents,
      boolean references) {
    var config = model.config();
    var sums = new FactorMoments.Sums(config.layers(), config.intermediateSize());
    if (references) {
      positions.references(documents, method.otherFactor(), null, sums);
    } else {
      positions.continuations(documents, method.otherFactor(), null, sums);
    }
    return sums.moments(model.downNorms());
  }

  /**
   * The profile with the same sparsity in all layers.
   *
   * @param sparsity in (0, 1), by batch bucket; the last serves every larger one
   * @param corpus what to call the documents
   * @param documents how many the scores are of
   * @throws UserException when there is no position
   */
  public static SparsityProfile profile(
      String modelDigest,
      Target target,
      double[] sparsity,
      ScoreDistributions scores,
      String corpus,
      int documents) {
    requireSparsity(sparsity);
    requirePositions(scores, corpus, documents);
    double[] byBucket = new double[scores.buckets()];
    Arrays.setAll(byBucket, k -> sparsity[Math.min(k, sparsity.length - 1)]);
    LOG.info(
        "thresholds of {} at sparsity {} for union {} from {} decode positions of {}",
        target.method(),
        Arrays.toString(byBucket),
        target.union(),
        scores.positions(),
        corpus);
    return profile(
        modelDigest,
        target,
        byBucket,
        scores.thresholds(byBucket),
        scores,
        corpus,
        documents,
        null);
  }

  /**
   * The profile of given thresholds.
   *
   * @param sparsity mean over layers, by batch bucket
   * @param thresholds [bucket][layer]
   * @param search how the sparsities were found; null where they were asked for
   */
  public static SparsityProfile profile(
      String modelDigest,
      Target target,
      double[] sparsity,
      float[][] thresholds,
      ScoreDistributions scores,
      String corpus,
      int documents,
      SparsityProfile.Search search) {
    var calibration =
        new SparsityProfile.Calibration(
            corpus,
            documents,
            scores.positions(),
            scores.ownDensity(thresholds),
            scores.unionDensity(thresholds),
            scores.ownSpread(thresholds),
            null,
            ScoreDistributions.rankError(),
            search);
    return new SparsityProfile(
        modelDigest,
        target.method(),
        target.union(),
        sparsity,
        thresholds,
        calibration,
        target.predictors(),
        null,
        target.neuronScales());
  }

  private static void requirePositions(ScoreDistributions scores, String corpus, int documents) {
    if (scores.positions() == 0) {
      throw new UserException(
          "none of the " + documents + " prompts of " + corpus + " reached a decode step, so no"
              + " threshold can be found for --sparsity; give --profile, or --method dense");
    }
  }

  private static void requireSparsity(double[] sparsity) {
    for (double s : sparsity) {
      if (!(s > 0 && s < 1)) {
        throw new UserException(
            "sparsity " + s + " is outside (0, 1); it is the fraction of neurons dropped");
      }
    }
  }
}
