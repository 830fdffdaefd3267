package io.rollcall.jobs.generate;

import io.rollcall.engine.calibration.DecodePositions;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.runner.CacheRoom;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.Place;

/**
 * A task's model, and how to decode with it.
 *
 * @param lease of the model, until the task ends
 * @param workers threads of the task
 */
public record TaskModel(
    ModelRegistry.Lease lease, PromptTemplate template, GenerationOptions options, int workers) {

  public LoadedModel model() {
    return lease.model();
  }

  /** What it was loaded from. */
  public ModelFiles files() {
    return lease.files();
  }

  /** Where it computes. */
  public Place place() {
    return lease.place();
  }

  /**
   * The profile with the crossover of what this task computes on. Holds the cache's room while that
   * is measured, so that a batch too large for all tasks is refused before and not after.
   *
   * @param given null to measure it
   * @throws io.rollcall.engine.UserException when the cache does not fit
   */
  SparsityPlan plan(SparsityProfile profile, Crossover given) {
    if (given != null) {
      return new SparsityPlan(profile, given);
    }
    try (CacheRoom room = model().cacheRoom(options.batchSize(), options.context())) {
      return new SparsityPlan(profile, lease.crossover(profile, options.batchSize(), workers));
    }
  }

  /** The dense decode steps of documents. */
  public DecodePositions positions() {
    return new DecodePositions(model(), files(), template, options, workers);
  }
}
