package io.rollcall.jobs.generate;

import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.UsageException;
import java.io.Serializable;

/**
 * The sparsity a user asked for; null where nothing was said.
 *
 * @param method null leaves it to the profile, else m-countdown
 * @param sparsity fraction of neurons to drop; thresholds for it come from calibration, which makes
 *     no predictors
 * @param profile path of a profile, whose method and union then apply
 * @param union null leaves it to the profile, else shared
 */
public record SparsityRequest(
    Method method, Double sparsity, String profile, UnionStrategy union) implements Serializable {

  public SparsityRequest {
    if (profile != null && (method != null || sparsity != null || union != null)) {
      throw new UsageException(
          "--profile brings its own method, sparsity and union; leave out "
              + (method != null ? "--method" : sparsity != null ? "--sparsity" : "--union"));
    }
    if (method == Method.DENSE && (sparsity != null || union != null)) {
      throw new UsageException(
          "--method dense takes no " + (sparsity != null ? "--sparsity" : "--union")
              + "; leave it out or choose a sparse method");
    }
    if (sparsity != null && !(sparsity > 0 && sparsity < 1)) {
      throw new UsageException(
          "--sparsity " + sparsity + " is outside (0, 1); it is the fraction of neurons to drop");
    }
    if (method != null && method.needsPredictor() && sparsity != null) {
      throw new UsageException(withoutPredictor(method));
    }
  }

  /** What to do where a method's predictor is nowhere to be had. */
  static String withoutPredictor(Method method) {
    return "--method " + method
        + " needs a profile with a predictor, which train-predictor writes; give it with"
        + " --profile, or use " + method + "-oracle or m-countdown";
  }

  /** Thresholds to be calibrated. */
  public static SparsityRequest of(Method method, double sparsity, UnionStrategy union) {
    return new SparsityRequest(method, sparsity, null, union);
  }

  /** No sparsity. */
  public static SparsityRequest dense() {
    return new SparsityRequest(Method.DENSE, null, null, null);
  }

  /** What the model's own profile says, else m-countdown. */
  public static SparsityRequest unspecified() {
    return new SparsityRequest(null, null, null, null);
  }
}
