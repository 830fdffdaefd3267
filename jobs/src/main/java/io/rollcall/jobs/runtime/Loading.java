package io.rollcall.jobs.runtime;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.runner.CpuModel;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.kernels.WeightType;

/** Loads a model where it is to compute. */
final class Loading {
  private Loading() {}

  static LoadedModel load(ModelFiles files, WeightType weights, Place place) {
    return switch (place.backend()) {
      case CPU -> CpuModel.load(files, weights);
      case CUDA -> throw new UnsupportedOperationException("the CUDA runner");
    };
  }
}
