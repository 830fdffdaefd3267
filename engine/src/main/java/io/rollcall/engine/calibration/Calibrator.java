package io.rollcall.engine.calibration;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.text.PromptTemplate;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Finds thresholds for a wanted sparsity by running a sample of prompts. */
public final class Calibrator {
  private static final Logger LOG = LoggerFactory.getLogger(Calibrator.class);

  private Calibrator() {}

  /**
   * One pass over the sample's greedy dense generations; thresholds are {@link ScoreCollector}'s.
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
    requireSparsity(method, sparsity);
    if (method.needsPredictor()) {
      throw new UserException(
          "method " + method + " needs a profile with a predictor; give --profile, or use "
              + method.oracle() + " or m-countdown");
    }
    var options = GenerationOptions.greedy(batchSize, maxNewTokens, model.config().context());
    List<Document> documents =
        IntStream.range(0, sample.size())
            .mapToObj(i -> new Document(Integer.toString(i), sample.get(i), null))
            .toList();
    return calibrate(
        model,
        new Target(method, null, union, sparsity, batchSize),
        new DecodePositions(model, null, template, options, workers),
        documents,
        corpus);
  }

  /**
   * What thresholds are wanted for.
   *
   * @param predictors of a method that predicts; null for others
   * @param sparsity in (0, 1), by batch bucket; the last serves every larger one
   * @param batchSize buckets up to it get thresholds
   */
  public record Target(
      Method method, Predictors predictors, UnionStrategy union, double[] sparsity, int batchSize) {}

  /**
   * The same over documents that may have references: all or none.
   *
   * @throws UserException when no document has a decode step, or the backend cannot show predictors'
   *     logits
   */
  public static SparsityProfile calibrate(
      LoadedModel model,
      Target target,
      DecodePositions positions,
      List<Document> sample,
      String corpus) {
    Method method = target.method();
    requireSparsity(method, target.sparsity());
    var config = model.config();
    ScoreCollector collector =
        new ScoreCollector(
            target.union(),
            target.sparsity(),
            target.batchSize(),
            config.layers(),
            config.intermediateSize(),
            method.needsPredictor());
    if (sample.stream().anyMatch(document -> document.reference() != null)) {
      positions.references(sample.iterator(), method, target.predictors(), collector);
    } else {
      positions.continuations(sample.iterator(), method, target.predictors(), collector);
    }
    if (collector.positions() == 0) {
      throw new UserException(
          "none of the " + sample.size() + " prompts of " + corpus + " reached a decode step, so no"
              + " threshold can be found for --sparsity; give --profile, or --method dense");
    }
    float[][] thresholds = collector.thresholds();
    var calibration =
        new SparsityProfile.Calibration(
            corpus,
            sample.size(),
            collector.positions(),
            collector.ownDensity(thresholds),
            collector.unionDensity(thresholds),
            collector.ownSpread(thresholds));
    LOG.info(
        "thresholds of {} at sparsity {} for union {} from {} decode positions of {}",
        method,
        Arrays.toString(target.sparsity()),
        target.union(),
        collector.positions(),
        corpus);
    return new SparsityProfile(
        model.digest(),
        method,
        target.union(),
        collector.sparsity(),
        thresholds,
        calibration,
        target.predictors());
  }

  private static void requireSparsity(Method method, double[] sparsity) {
    for (double s : sparsity) {
      if (!(s > 0 && s < 1)) {
        throw new UserException(
            "sparsity " + s + " is outside (0, 1); it is the fraction of neurons dropped");
      }
    }
    if (!method.sparse()) {
      throw new UserException("method dense takes no sparsity");
    }
  }
}
