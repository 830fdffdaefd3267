package io.rollcall.engine.training;

import io.rollcall.engine.UserException;
import io.rollcall.kernels.WeightType;
import java.io.Serializable;

/**
 * How a predictor is trained.
 *
 * @param rank k
 * @param folded whether logits have a fold, {@link io.rollcall.engine.sparsity.Predictor}
 * @param precision that decode steps read the predictor at: BF16, INT8 or INT4
 * @param sparsity wanted, in (0, 1); recall is measured at its density
 * @param epochs most passes over the positions
 * @param seed of the order in which they are met
 */
public record TrainingOptions(
    int rank, boolean folded, WeightType precision, double sparsity, int epochs, long seed)
    implements Serializable {

  public TrainingOptions {
    if (rank < 1) {
      throw new UserException("rank " + rank + " is below 1; leave it out for f/24");
    }
    if (precision == WeightType.F32 || precision == WeightType.F16) {
      throw new UserException("predictor-weights " + precision + " are none of bf16, int8 and int4");
    }
    if (!(sparsity > 0 && sparsity < 1)) {
      throw new UserException(
          "sparsity " + sparsity + " is outside (0, 1); it is the fraction of neurons dropped");
    }
    if (epochs < 1) {
      throw new UserException("epochs " + epochs + " are below 1; leave them out for 20");
    }
  }

  /** f/24 to the nearest multiple of 32: a thirtieth to a twentieth of the dense weights. */
  public static int defaultRank(int hidden, int intermediate) {
    return Math.min(hidden, Math.max(32, Math.round(intermediate / 24f / 32) * 32));
  }

  /** Decode positions that a rank takes at least. */
  public static int enough(int rank) {
    return 8 * rank;
  }

  /** @throws UserException when a model of hidden size d is too small for the rank */
  public void requireFits(int hidden, String model) {
    if (rank > hidden) {
      throw new UserException(
          String.format(
              "rank %d is above the hidden size %d of model '%s'; a predictor of a rank below it"
                  + " is what saves reading",
              rank, hidden, model));
    }
  }
}
