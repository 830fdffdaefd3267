package io.rollcall.engine.sparsity;

import io.rollcall.engine.UserException;
import java.io.Serializable;
import java.util.Arrays;

/**
 * The union density from which a layer runs dense, by batch bucket: where the dense kernels are faster
 * than the gathered ones, measured on the machine, or a given one where runs have to repeat.
 *
 * @param density [bucket], the last one serves every larger bucket; above 1 for never
 */
public record Crossover(double[] density) implements Serializable {
  private static final double NEVER = 2;

  /** No step ever runs dense. */
  public static Crossover never() {
    return new Crossover(new double[] {NEVER});
  }

  /** Parses {@code never}, or the union density from which layers run dense, 0 for always. */
  public static Crossover parse(String text) {
    if (text.equals("never")) {
      return never();
    }
    try {
      double density = Double.parseDouble(text);
      if (density >= 0 && density <= 1) {
        return new Crossover(new double[] {density});
      }
    } catch (NumberFormatException e) {
      // said below
    }
    throw new UserException(
        "crossover '" + text + "' is none; use measured, never or a union density from 0 to 1");
  }

  /**
   * Where two measured costs meet.
   *
   * @param densities at which the sparse step was timed
   * @param sparse its time at each, taken as a line over density
   * @param dense time of the dense step
   */
  public static double between(double[] densities, double[] sparse, double dense) {
    double meanDensity = Arrays.stream(densities).average().orElseThrow();
    double meanTime = Arrays.stream(sparse).average().orElseThrow();
    double covariance = 0;
    double variance = 0;
    for (int i = 0; i < densities.length; i++) {
      covariance += (densities[i] - meanDensity) * (sparse[i] - meanTime);
      variance += (densities[i] - meanDensity) * (densities[i] - meanDensity);
    }
    double slope = covariance / variance;
    if (slope <= 0) {
      return meanTime <= dense ? NEVER : 0;
    }
    return Math.min(NEVER, Math.max(0, meanDensity + (dense - meanTime) / slope));
  }

  /** Whether a layer whose union has this density runs dense. */
  public boolean dense(int bucket, double unionDensity) {
    return unionDensity >= density[Math.min(bucket, density.length - 1)];
  }

  @Override
  public String toString() {
    return Arrays.toString(density);
  }
}
