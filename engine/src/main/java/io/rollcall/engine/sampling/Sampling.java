package io.rollcall.engine.sampling;

import io.rollcall.engine.UserException;

/**
 * How a token is chosen from logits.
 *
 * @param temperature 0 for greedy
 * @param topP nucleus of the sampled distribution, in (0, 1]
 */
public record Sampling(double temperature, double topP) {

  public Sampling {
    if (!(temperature >= 0 && Double.isFinite(temperature))) {
      throw new UserException(
          "temperature " + temperature + " is not 0 (greedy) or a positive number");
    }
    if (!(topP > 0 && topP <= 1)) {
      throw new UserException("top-p " + topP + " is outside (0, 1]");
    }
  }

  public static Sampling greedy() {
    return new Sampling(0, 1);
  }
}
