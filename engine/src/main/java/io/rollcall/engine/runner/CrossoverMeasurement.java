package io.rollcall.engine.runner;

import io.rollcall.engine.model.LayerWeights;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.kernels.RowIndex;
import io.rollcall.kernels.WorkerPool;
import io.rollcall.kernels.cpu.CpuKernels;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Times a model's feed-forward layers dense and gathered on this machine. */
final class CrossoverMeasurement {
  private static final Logger LOG = LoggerFactory.getLogger(CrossoverMeasurement.class);
  private static final double[] DENSITIES = {0.4, 0.6, 0.8, 0.98};
  private static final int MOST_LAYERS = 8;
  private static final int LEAST_ROUNDS = 5;
  private static final long TIMED_NANOS = 200_000_000;
  private static final long WARM_UP_NANOS = 150_000_000;

  private final CpuModel model;
  private final FeedForward feedForward;
  private final List<LayerWeights> layers;
  private final float[] x;
  private final float[] y;
  private final Random random = new Random(1);

  private CrossoverMeasurement(
      CpuModel model, SparsityProfile profile, int batchSize, WorkerPool pool) {
    this.model = model;
    layers =
        model.weights().layers().subList(0, Math.min(MOST_LAYERS, model.config().layers()));
    feedForward =
        new FeedForward(
            CpuKernels.create(pool),
            model.config(),
            new SparsityPlan(profile, Crossover.never()),
            ThresholdRule.of(profile),
            model.cost(),
            batchSize,
            batchSize,
            null);
    x = new float[batchSize * model.config().hiddenSize()];
    y = new float[x.length];
    for (int i = 0; i < x.length; i++) {
      x[i] = (float) random.nextGaussian();
    }
  }

  /** The crossover of each batch bucket up to {@code batchSize}, with these many workers. */
  static Crossover measure(
      CpuModel model, SparsityProfile profile, int batchSize, int workers) {
    if (!profile.method().sparse()) {
      return Crossover.never();
    }
    try (WorkerPool pool = new WorkerPool(workers)) {
      var measurement = new CrossoverMeasurement(model, profile, batchSize, pool);
      double[] density = new double[BatchBuckets.count(batchSize)];
      Arrays.setAll(
          density, k -> measurement.bucket(Math.min(BatchBuckets.largest(k), batchSize)));
      Crossover crossover = new Crossover(density);
      LOG.info(
          "{} runs dense from union density {} by batch bucket", profile.method(), crossover);
      return crossover;
    }
  }

  private double bucket(int batch) {
    RowIndex[] unions = Arrays.stream(DENSITIES).mapToObj(this::randomRows).toArray(RowIndex[]::new);
    long warm = System.nanoTime() + WARM_UP_NANOS;
    while (System.nanoTime() < warm) {
      pass(batch, unions[0], false);
      pass(batch, null, true);
    }
    double[] sparse = new double[unions.length];
    Arrays.fill(sparse, Double.MAX_VALUE);
    double dense = Double.MAX_VALUE;
    long end = System.nanoTime() + TIMED_NANOS;
    for (int round = 0; round < LEAST_ROUNDS || System.nanoTime() < end; round++) {
      for (int i = 0; i < unions.length; i++) {
        sparse[i] = Math.min(sparse[i], pass(batch, unions[i], false));
      }
      dense = Math.min(dense, pass(batch, null, true));
    }
    return Crossover.between(DENSITIES, sparse, dense);
  }

  /** Nanoseconds of one pass over the layers, so that no layer's weights are still in a near cache. */
  private double pass(int batch, RowIndex rows, boolean dense) {
    long start = System.nanoTime();
    for (int layer = 0; layer < layers.size(); layer++) {
      feedForward.compute(layer, layers.get(layer), x, batch, rows, dense, y);
    }
    return System.nanoTime() - start;
  }

  private RowIndex randomRows(double density) {
    RowIndex rows = new RowIndex(model.config().intermediateSize());
    for (int row = 0; row < rows.capacity(); row++) {
      if (random.nextDouble() < density) {
        rows.append(row);
      }
    }
    return rows;
  }
}
