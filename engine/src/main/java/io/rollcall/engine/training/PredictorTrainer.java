package io.rollcall.engine.training;

import io.rollcall.engine.algebra.Products;
import io.rollcall.engine.sparsity.Bf16;
import io.rollcall.engine.sparsity.Predictor;
import io.rollcall.engine.sparsity.Quantiles;
import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WorkerPool;
import io.rollcall.kernels.cpu.CpuKernels;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * Trains one layer's low-rank {@link Predictor} on which neurons the oracle calls: COUNTDOWN's D, arXiv
 * 2505.17701. It begins with the least squares of the scores' energy on the inputs, cut to the rank
 * ({@link LowRankFit}), and a fold of small random numbers; goes on by Adam on {@link
 * WeightedCrossEntropy} with a rate that falls as a cosine; and keeps the epoch that recalls most energy
 * on held-out positions at the wanted density, read at the precision that decode steps read.
 */
public final class PredictorTrainer implements AutoCloseable {
  private static final int BATCH = 256;
  private static final double RATE = 3e-3;
  /** Epochs without a better one before the last. */
  private static final int PATIENCE = 5;
  /** Held-out positions looked at, which bounds their logits' memory. */
  private static final int MOST_HELD_OUT = 2048;
  /** Standard deviation of a fold's first elements, to that of B's. */
  private static final double FIRST_FOLD = 0.5;
  /** Of the targets of the fit: beyond, a few large scores would be all that it sees. */
  private static final float MOST_ENERGY = 10;

  private final TrainingOptions options;
  private final WorkerPool pool;
  private final Products products;

  /** @param workers threads, the caller's included */
  public PredictorTrainer(TrainingOptions options, int workers) {
    this.options = options;
    pool = new WorkerPool(workers);
    products = new Products(CpuKernels.create(pool));
  }

  /** Hears how far the training is. */
  public interface Progress {
    /** @param quality on the held-out positions after the epoch, the 0th before the first */
    void epoch(int epoch, PredictorQuality quality);
  }

  /** The parameters, A [k x d], B [f x k] and F [f x k], and the shift of the logits. */
  private static final class Parameters {
    final float[] a;
    final float[] b;
    /** Null for none. */
    final float[] fold;
    final float[] shift = new float[1];

    Parameters(int rank, int d, int f, boolean folded) {
      a = new float[Math.multiplyExact(rank, d)];
      b = new float[Math.multiplyExact(f, rank)];
      fold = folded ? new float[b.length] : null;
    }

    /** Small random numbers: at zero |F z| has no slope. */
    void begin(SplittableRandom random) {
      double square = 0;
      for (float value : b) {
        square += (double) value * value / b.length;
      }
      double deviation = FIRST_FOLD * Math.sqrt(square);
      for (int i = 0; i < fold.length; i++) {
        fold[i] = (float) (deviation * random.nextGaussian());
      }
    }
  }

  /** Positions read out of the samples for one step. */
  private static final class Batch {
    final float[] x;
    final byte[] ratios;

    Batch(int n, LayerSamples samples) {
      x = new float[n * samples.hidden()];
      ratios = new byte[Math.multiplyExact(n, samples.intermediate())];
    }

    void read(LayerSamples samples, int[] order, int from, int n) {
      for (int i = 0; i < n; i++) {
        samples.read(
            order[from + i], x, i * samples.hidden(), ratios, i * samples.intermediate());
      }
    }
  }

  /**
   * Trains; the same samples, options and seed give the same predictor, whatever the threads.
   *
   * @param heldOut of other documents
   */
  public TrainedPredictor train(LayerSamples training, LayerSamples heldOut, Progress progress) {
    int rank = options.rank();
    int d = training.hidden();
    int f = training.intermediate();
    Parameters parameters = new Parameters(rank, d, f, options.folded());
    int[] order = order(training.count());
    fit(training, parameters);
    SplittableRandom random = new SplittableRandom(options.seed());
    if (options.folded()) {
      parameters.begin(random.split());
    }

    Predictor best = stored(parameters);
    PredictorQuality initial = quality(best, heldOut);
    PredictorQuality quality = initial;
    progress.epoch(0, initial);
    int bestEpoch = 0;
    Steps steps = new Steps(training, parameters);
    for (int epoch = 1; epoch <= options.epochs() && epoch - bestEpoch <= PATIENCE; epoch++) {
      shuffle(order, random);
      steps.epoch(order);
      Predictor candidate = stored(parameters);
      PredictorQuality reached = quality(candidate, heldOut);
      progress.epoch(epoch, reached);
      if (reached.energy() > quality.energy()) {
        best = candidate;
        quality = reached;
        bestEpoch = epoch;
      }
    }
    return new TrainedPredictor(best, initial, quality, bestEpoch);
  }

  private void fit(LayerSamples training, Parameters parameters) {
    int d = training.hidden();
    int f = training.intermediate();
    float[] energy =
        ScoreRatio.table(ratio -> Math.min(MOST_ENERGY, ratio * ratio) - 1);
    LowRankFit fit = new LowRankFit(d, f);
    Batch batch = new Batch(BATCH, training);
    float[] targets = new float[BATCH * f];
    int[] order = order(training.count());
    for (int from = 0; from < order.length; from += BATCH) {
      int n = Math.min(BATCH, order.length - from);
      batch.read(training, order, from, n);
      for (int i = 0; i < n * f; i++) {
        targets[i] = energy[batch.ratios[i] - Byte.MIN_VALUE];
      }
      fit.add(products, batch.x, targets, n);
    }
    fit.solve(options.rank(), parameters.a, parameters.b);
  }

  /** The gradient steps over one layer's positions. */
  private final class Steps {
    private final LayerSamples training;
    private final Parameters parameters;
    private final int size;
    private final int total;
    private final float weight;
    private final Batch batch;
    private final Adam adamA;
    private final Adam adamB;
    private final Adam adamShift = new Adam(1);
    private final Fold fold;
    private final float[] reduced;
    private final float[] logits;
    private final float[] back;
    private final float[] gradientA;
    private final float[] gradientB;
    private int done;

    Steps(LayerSamples training, Parameters parameters) {
      this.training = training;
      this.parameters = parameters;
      int f = training.intermediate();
      size = Math.min(BATCH, training.count());
      total = options.epochs() * (training.count() / size);
      batch = new Batch(size, training);
      weight = meanWeight();
      adamA = new Adam(parameters.a.length);
      adamB = new Adam(parameters.b.length);
      fold = parameters.fold == null ? null : new Fold(size, f);
      reduced = new float[size * options.rank()];
      back = new float[size * options.rank()];
      logits = new float[size * f];
      gradientA = new float[parameters.a.length];
      gradientB = new float[parameters.b.length];
    }

    /** Of the first positions' answers, so that the loss is a mean like the unweighted one. */
    private float meanWeight() {
      batch.read(training, order(size), 0, size);
      double sum = 0;
      for (byte ratio : batch.ratios) {
        sum += WeightedCrossEntropy.weight(ratio);
      }
      return (float) Math.max(1e-3, sum / batch.ratios.length);
    }

    void epoch(int[] order) {
      for (int from = 0; from + size <= order.length; from += size) {
        batch.read(training, order, from, size);
        step();
      }
    }

    private void step() {
      int k = options.rank();
      int d = training.hidden();
      int f = training.intermediate();
      products.rowsByRows(batch.x, size, parameters.a, k, d, reduced);
      products.rowsByRows(reduced, size, parameters.b, f, k, logits);
      if (fold != null) {
        fold.add(reduced, logits);
      }
      // a mean over positions and neurons; Adam does not mind the scale
      float scale = 1f / (size * (float) f * weight);
      double shift =
          WeightedCrossEntropy.gradient(
              logits, batch.ratios, size * f, parameters.shift[0], scale);
      products.columnsByColumns(logits, reduced, size, f, k, gradientB);
      products.rowsByColumns(logits, size, parameters.b, f, k, back);
      if (fold != null) {
        fold.gradient(logits, reduced, back);
      }
      products.columnsByColumns(back, batch.x, size, k, d, gradientA);
      double rate = RATE * 0.5 * (1 + Math.cos(Math.PI * done++ / total));
      adamA.step(parameters.a, gradientA, rate);
      adamB.step(parameters.b, gradientB, rate);
      if (fold != null) {
        fold.step(rate);
      }
      adamShift.step(parameters.shift, new float[] {(float) shift}, rate);
    }

    /** |F z| of a batch. */
    private final class Fold {
      private final Adam adam = new Adam(parameters.fold.length);
      private final float[] values;
      private final float[] back = new float[size * options.rank()];
      private final float[] gradient = new float[parameters.fold.length];

      Fold(int size, int f) {
        values = new float[size * f];
      }

      void add(float[] reduced, float[] logits) {
        int f = training.intermediate();
        products.rowsByRows(reduced, size, parameters.fold, f, options.rank(), values);
        Predictor.addFold(logits, values, values.length);
      }

      /** Adds to the gradient by the reduced input, from that by the logits. */
      void gradient(float[] byLogits, float[] reduced, float[] byReduced) {
        int f = training.intermediate();
        int k = options.rank();
        for (int i = 0; i < values.length; i++) {
          values[i] = values[i] < 0 ? -byLogits[i] : byLogits[i];
        }
        products.columnsByColumns(values, reduced, size, f, k, gradient);
        products.rowsByColumns(values, size, parameters.fold, f, k, back);
        for (int i = 0; i < back.length; i++) {
          byReduced[i] += back[i];
        }
      }

      void step(double rate) {
        adam.step(parameters.fold, gradient, rate);
      }
    }
  }

  /** A predictor's quality at the wanted density of all positions together. */
  PredictorQuality quality(Predictor predictor, LayerSamples samples) {
    int f = samples.intermediate();
    int n = Math.min(samples.count(), MOST_HELD_OUT);
    WeightMatrix a = predictor.reduction();
    WeightMatrix b = predictor.expansion();
    WeightMatrix fold = predictor.foldedExpansion();
    float[] folded = new float[fold == null ? 0 : BATCH * f];
    Batch batch = new Batch(BATCH, samples);
    float[] reduced = new float[BATCH * predictor.rank()];
    float[] logits = new float[BATCH * f];
    float[] all = new float[Math.multiplyExact(n, f)];
    byte[] ratios = new byte[all.length];
    int[] order = order(n);
    for (int from = 0; from < n; from += BATCH) {
      int size = Math.min(BATCH, n - from);
      batch.read(samples, order, from, size);
      products.rowsByRows(batch.x, size, a, reduced);
      products.rowsByRows(reduced, size, b, logits);
      if (fold != null) {
        products.rowsByRows(reduced, size, fold, folded);
        Predictor.addFold(logits, folded, size * f);
      }
      System.arraycopy(logits, 0, all, from * f, size * f);
      System.arraycopy(batch.ratios, 0, ratios, from * f, size * f);
    }
    float threshold = Quantiles.quantile(all.clone(), all.length, options.sparsity());
    return quality(all, ratios, threshold);
  }

  private static PredictorQuality quality(float[] logits, byte[] ratios, float threshold) {
    float[] squares = ScoreRatio.table(ratio -> ratio * ratio);
    long called = 0;
    long predicted = 0;
    long both = 0;
    double energy = 0;
    double kept = 0;
    for (int i = 0; i < logits.length; i++) {
      boolean oracle = ratios[i] >= 0;
      float square = squares[ratios[i] - Byte.MIN_VALUE];
      energy += square;
      called += oracle ? 1 : 0;
      if (logits[i] > threshold) {
        predicted++;
        kept += square;
        both += oracle ? 1 : 0;
      }
    }
    return new PredictorQuality(
        both / (double) Math.max(1, called),
        both / (double) Math.max(1, predicted),
        kept / Math.max(Double.MIN_NORMAL, energy));
  }

  private Predictor stored(Parameters parameters) {
    return new Predictor(
        options.rank(),
        options.precision(),
        Bf16.round(parameters.a),
        Bf16.round(parameters.b),
        parameters.fold == null ? null : Bf16.round(parameters.fold));
  }

  private static int[] order(int n) {
    int[] order = new int[n];
    Arrays.setAll(order, i -> i);
    return order;
  }

  private static void shuffle(int[] order, SplittableRandom random) {
    for (int i = order.length - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int swap = order[i];
      order[i] = order[j];
      order[j] = swap;
    }
  }

  @Override
  public void close() {
    pool.close();
  }
}
