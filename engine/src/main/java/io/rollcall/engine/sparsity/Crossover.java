package io.rollcall.engine.sparsity;

import io.rollcall.engine.model.Model;
import java.io.Serializable;
import java.util.Arrays;

/**
 * The union density from which the dense kernels are faster than the gathered ones, by batch bucket;
 * measured on the machine, not guessed. At or past it a layer runs dense.
 *
 * @param density [bucket]; the last one serves every larger bucket
 */
public record Crossover(double[] density) implements Serializable {

  /** No step ever runs dense. */
  public static Crossover never() {
    return new Crossover(new double[] {Double.POSITIVE_INFINITY});
  }

  /** Times this model's feed-forward layer dense and gathered on this machine. */
  public static Crossover measure(Model model, Method method, int batchSize, int workers) {
    throw new UnsupportedOperationException();
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
