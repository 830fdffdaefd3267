package io.rollcall.engine.bench;

import io.rollcall.engine.UserException;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import java.util.List;

/**
 * What to measure: every combination of method, sparsity, union and batch size; dense once a batch
 * size.
 *
 * @param context tokens in the cache of each sequence when decoding begins
 */
public record BenchmarkOptions(
    List<Method> methods,
    List<Double> sparsities,
    List<UnionStrategy> unions,
    List<Integer> batchSizes,
    int context) {

  public BenchmarkOptions {
    if (methods.stream().anyMatch(Method::needsPredictor)) {
      throw new UserException(
          "bench of " + methods + ": d-countdown and s-countdown need a profile with a trained"
              + " predictor; use their -oracle forms");
    }
    if (sparsities.stream().anyMatch(sparsity -> !(sparsity > 0 && sparsity < 1))) {
      throw new UserException(
          "bench with sparsities " + sparsities + ": each must be in (0, 1), the fraction of neurons"
              + " dropped");
    }
    if (batchSizes.stream().anyMatch(size -> size < 1) || context < 1) {
      throw new UserException(
          "bench with batch sizes " + batchSizes + " and context " + context
              + ": both must be at least 1");
    }
  }
}
