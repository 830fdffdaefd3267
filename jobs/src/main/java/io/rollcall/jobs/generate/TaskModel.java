package io.rollcall.jobs.generate;

import io.rollcall.engine.calibration.DecodePositions;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.jobs.runtime.Place;

/**
 * A task's model, and how to decode with it.
 *
 * @param files that it was loaded from
 * @param place where it computes
 * @param workers threads of the task
 */
public record TaskModel(
    LoadedModel model,
    ModelFiles files,
    Place place,
    PromptTemplate template,
    GenerationOptions options,
    int workers) {

  /** The dense decode steps of documents. */
  public DecodePositions positions() {
    return new DecodePositions(model, files, template, options, workers);
  }
}
