package io.rollcall.jobs.calibrate;

import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.runtime.ModelSource;

/**
 * All options of a calibration.
 *
 * @param references column of what the prompts should be answered with; null to follow the model's own
 *     answers
 * @param method null for the profile's
 * @param profile whose predictors, corrections and neuron scales are kept, and thresholds found anew;
 *     null for a method without
 * @param union null for the profile's, else shared
 * @param sparsity fraction of neurons to drop in all layers and buckets; null to search
 * @param maxLoss rise of perplexity that the search may cost, 0.01 for 1 %; null without a search
 * @param uniform whether the search gives all layers of a bucket the same sparsity
 * @param largestOnly whether the search is made for batches of the whole batch size alone; smaller
 *     ones, which a run has at its ends, get the sparsities found
 * @param neuronScales whether the scores get them; null for the profile's way, else with a search
 * @param decoding greedy; its batch size says which buckets get thresholds, its seed what is random
 * @param output file of the profile
 */
public record CalibrateRequest(
    PromptSource input,
    String references,
    ModelSource model,
    Method method,
    String profile,
    UnionStrategy union,
    Double sparsity,
    Double maxLoss,
    boolean uniform,
    boolean largestOnly,
    Boolean neuronScales,
    Decoding decoding,
    String output) {

  public CalibrateRequest {
    if (!input.keepColumns().isEmpty()) {
      throw new UsageException("calibrate writes no rows; leave out --keep-columns");
    }
    if (method == null && profile == null) {
      throw new UsageException("no method given; choose one with --method, m-countdown say");
    }
    if (method == Method.DENSE) {
      throw new UsageException("--method dense has no thresholds; choose a sparse method");
    }
    if (method != null && method.needsPredictor() && profile == null) {
      throw new UsageException(
          "--method " + method + " needs a profile with its predictor, which train-predictor writes;"
              + " give it with --profile, or use " + method.oracle() + " or m-countdown");
    }
    if ((sparsity == null) == (maxLoss == null)) {
      throw new UsageException(
          sparsity == null
              ? "give --sparsity S, or --max-loss F to search for it"
              : "--sparsity and --max-loss exclude each other; leave out one");
    }
    if (sparsity != null && !(sparsity > 0 && sparsity < 1)) {
      throw new UsageException(
          "--sparsity " + sparsity + " is outside (0, 1); it is the fraction of neurons to drop");
    }
    if (maxLoss != null && !(maxLoss > 0)) {
      throw new UsageException(
          "--max-loss " + maxLoss + " is not above 0; 0.01 allows perplexity to rise by 1 %");
    }
    if (neuronScales != null && method != null) {
      requireScalable(method);
    }
    if (uniform && maxLoss == null) {
      throw new UsageException("--uniform is of a search; give --max-loss, or leave it out");
    }
    if (largestOnly && maxLoss == null) {
      throw new UsageException(
          "--largest-only is of a search; give --max-loss, or leave it out");
    }
  }

  /** @throws UsageException for a method that takes no neuron scales */
  static void requireScalable(Method method) {
    if (!method.scalable()) {
      throw new UsageException(
          "--neuron-scales is of cats and m-countdown, whose scores leave out a factor; " + method
              + " leaves out none, so leave it out");
    }
  }
}
