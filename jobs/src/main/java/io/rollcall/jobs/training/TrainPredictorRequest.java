package io.rollcall.jobs.training;

import io.rollcall.engine.UserException;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.training.TrainingOptions;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.runtime.BackendChoice;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.kernels.WeightType;

/**
 * All options of training predictors.
 *
 * @param references column of what the prompts should be answered with; null to train on the model's
 *     own answers
 * @param method d-countdown or s-countdown
 * @param sparsity fraction of neurons to drop
 * @param rank null for f/24
 * @param folded whether logits have a fold
 * @param precision that decode steps read the predictors at
 * @param positions most decode positions of each layer, held-out ones included
 * @param continuations sampled answers of each prompt that are trained on besides
 * @param epochs most passes over the positions
 * @param decoding greedy; its batch size says which buckets get thresholds, its seed what is random
 * @param output file of the profile
 */
public record TrainPredictorRequest(
    PromptSource input,
    String references,
    ModelSource model,
    Method method,
    UnionStrategy union,
    double sparsity,
    Integer rank,
    boolean folded,
    WeightType precision,
    int positions,
    int continuations,
    int epochs,
    Decoding decoding,
    String output) {

  public TrainPredictorRequest {
    if (!method.needsPredictor()) {
      throw new UsageException(
          "--method " + method + " has no predictor to train; use d-countdown or s-countdown");
    }
    if (rank != null && rank < 1) {
      throw new UsageException("--rank " + rank + " is below 1; leave it out for f/24");
    }
    try {
      new TrainingOptions(
          rank == null ? 1 : rank, folded, precision, sparsity, epochs, decoding.seed());
    } catch (UserException e) {
      throw new UsageException("--" + e.getMessage());
    }
    if (positions < 1) {
      throw new UsageException("--positions " + positions + " is below 1; leave it out for 20000");
    }
    if (continuations < 0) {
      throw new UsageException(
          "--continuations " + continuations + " is below 0; leave it out for none");
    }
    if (model.backend() == BackendChoice.CUDA) {
      throw new UsageException(
          "--backend cuda cannot train predictors: a device shows scores, but not the inputs that"
              + " they come from; use --backend cpu");
    }
    model = model.onCpu();
  }

  TrainingOptions training(int hidden, int intermediate) {
    return new TrainingOptions(
        rank == null ? TrainingOptions.defaultRank(hidden, intermediate) : rank,
        folded,
        precision,
        sparsity,
        epochs,
        decoding.seed());
  }
}
