package io.rollcall.engine.runner;

import io.rollcall.engine.model.LayerWeights;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.BudgetSelector;
import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.NeuronScales;
import io.rollcall.engine.sparsity.Predictor;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.kernels.Kernels;
import io.rollcall.kernels.RowIndex;
import io.rollcall.kernels.WeightMatrix;
import java.util.Arrays;
import java.util.List;

/**
 * The gated MLP, dense or with the rows that a batch calls: scores from the method's dense part, the
 * union of the neurons above the threshold, the other matrices over the union's rows alone.
 */
final class FeedForward {
  private final Kernels kernels;
  private final ModelConfig config;
  private final SparsityPlan plan;
  private final ThresholdRule thresholds;
  private final FeedForwardCost cost;
  private final ScoreObserver observer;
  private final List<PredictorMatrices> predictors;
  private final List<float[]> neuronScales;
  private final OutputCorrection correction;

  private final float[] gate;
  private final float[] up;
  private final float[] coefficients;
  private final float[] upCoefficients;
  private final float[] reduced;
  private final RowIndex union;
  private final RowIndex all;
  private final int[] called;
  private final float[] energy;
  private final BudgetSelector budget;

  /** A predictor's A [k x d], B [f x k] and, or null, F [f x k]. */
  private record PredictorMatrices(WeightMatrix a, WeightMatrix b, WeightMatrix fold) {}

  /**
   * @param thresholds by which neurons are called; the plan's, but in evaluation
   * @param tokens most rows in a dense pass
   * @param batchSize most sequences in a step
   * @param observer null for none
   */
  FeedForward(
      Kernels kernels,
      ModelConfig config,
      SparsityPlan plan,
      ThresholdRule thresholds,
      FeedForwardCost cost,
      int tokens,
      int batchSize,
      ScoreObserver observer) {
    this.kernels = kernels;
    this.config = config;
    this.plan = plan;
    this.thresholds = thresholds;
    this.cost = cost;
    this.observer = observer;
    int f = config.intermediateSize();
    int rows = Math.max(tokens, batchSize);
    gate = new float[Math.multiplyExact(rows, f)];
    up = new float[rows * f];
    coefficients = new float[batchSize * f];
    Predictors predicted = plan.profile().predictors();
    predictors =
        predicted == null
            ? List.of()
            : predicted.layers().stream()
                .map(p -> new PredictorMatrices(p.reduction(), p.expansion(), p.foldedExpansion()))
                .toList();
    NeuronScales scales = plan.profile().neuronScales();
    neuronScales = scales == null ? null : scales.floats();
    upCoefficients = new float[predicted == null ? 0 : coefficients.length];
    reduced = new float[batchSize * plan.profile().predictorRank()];
    correction =
        new OutputCorrection(
            kernels, plan.profile().corrections(), config.hiddenSize(), batchSize);
    union = new RowIndex(f);
    all = new RowIndex(f);
    for (int row = 0; row < f; row++) {
      all.append(row);
    }
    called = new int[batchSize];
    energy = new float[f];
    budget = new BudgetSelector(f);
  }

  /**
   * y = W_down (act(W_gate x) * W_up x).
   *
   * @param x [n x d]
   * @param y [n x d]
   */
  void dense(LayerWeights weights, float[] x, int n, float[] y) {
    kernels.matmul(weights.gate(), x, n, gate);
    kernels.matmul(weights.up(), x, n, up);
    kernels.activateAndMultiply(config.activation(), gate, up, n * config.intermediateSize());
    kernels.sumRows(weights.down(), gate, n, y);
  }

  /** One decode step of a layer by the plan. */
  void step(
      int layer, LayerWeights weights, float[] x, int batch, float[] y, StepRecord record) {
    int f = config.intermediateSize();
    Method method = plan.method();
    if (!method.sparse()) {
      dense(weights, x, batch, y);
      Arrays.fill(called, 0, batch, f);
      record.layer(layer, called, 0, f, false, cost.dense());
      return;
    }
    int bucket = BatchBuckets.of(batch);
    float[] scores = scores(method, layer, weights, x, batch);
    float[] scale = scale(method, layer, weights);
    float threshold = thresholds.threshold(layer, bucket, scores, batch, scale);
    if (observer != null) {
      observer.observe(layer, bucket, scores, batch, scale);
    }
    if (method.needsPredictor()) {
      margins(scores, batch * f, threshold);
      threshold = 0;
    }
    kernels.union(scores, batch, f, scale, threshold, union, called);
    if (plan.union() instanceof UnionStrategy.Budget limit) {
      kernels.batchEnergy(scores, batch, f, scale, energy);
      budget.trim(union, energy, (int) (limit.fraction() * f));
    }
    int loaded = union.count();
    boolean dense = plan.crossover().dense(bucket, (double) loaded / f);
    RowIndex rows = dense ? all : union;
    coefficients(method, weights, x, batch, rows, dense);
    if (plan.union() instanceof UnionStrategy.Own) {
      kernels.dropUncalled(scores, batch, f, scale, threshold, rows, coefficients);
    }
    sum(weights.down(), rows, dense, batch, y);
    long read = cost.read(method, dense ? f : loaded, plan.profile().predictorBytes());
    read += cost.read(plan.profile().neuronScales());
    if (drops(dense)) {
      correction.add(layer, bucket, x, batch, y);
      read += cost.read(plan.profile().correction(layer));
    }
    record.layer(layer, called, 0, loaded, dense, read);
  }

  /** The work of a step whose union is given: what the crossover is measured on. */
  void compute(
      int layer, LayerWeights weights, float[] x, int batch, RowIndex rows, boolean dense, float[] y) {
    Method method = plan.method();
    scores(method, layer, weights, x, batch);
    coefficients(method, weights, x, batch, dense ? all : rows, dense);
    sum(weights.down(), dense ? all : rows, dense, batch, y);
    if (drops(dense)) {
      correction.add(layer, BatchBuckets.of(batch), x, batch, y);
    }
  }

  /** Whether sequences go without rows: under own past the crossover too. */
  private boolean drops(boolean dense) {
    return !dense || plan.union() instanceof UnionStrategy.Own;
  }

  /** Scores of a method while the step itself runs dense. */
  void observeDense(int layer, Method method, LayerWeights weights, float[] x, int batch) {
    observer.input(layer, x, batch);
    observer.observe(
        layer,
        BatchBuckets.of(batch),
        scores(method, layer, weights, x, batch),
        batch,
        scale(method, layer, weights));
  }

  /** The method's dense part; returns [batch x f] in one of the buffers. */
  private float[] scores(Method method, int layer, LayerWeights weights, float[] x, int batch) {
    int n = batch * config.intermediateSize();
    return switch (method) {
      case CATS -> {
        kernels.matmul(weights.gate(), x, batch, gate);
        kernels.activate(config.activation(), gate, n);
        yield gate;
      }
      case M_COUNTDOWN -> {
        kernels.matmul(weights.up(), x, batch, up);
        yield up;
      }
      case D_COUNTDOWN_ORACLE, S_COUNTDOWN_ORACLE -> {
        kernels.matmul(weights.gate(), x, batch, gate);
        kernels.matmul(weights.up(), x, batch, up);
        kernels.activateAndMultiply(config.activation(), gate, up, n);
        yield gate;
      }
      case D_COUNTDOWN, S_COUNTDOWN -> {
        logits(predictors.get(layer), x, batch, gate);
        yield gate;
      }
      case DENSE -> throw new IllegalStateException("dense has no scores");
    };
  }

  private void logits(PredictorMatrices predictor, float[] x, int batch, float[] logits) {
    kernels.matmul(predictor.a(), x, batch, reduced);
    kernels.matmul(predictor.b(), reduced, batch, logits);
    if (predictor.fold() != null) {
      kernels.matmul(predictor.fold(), reduced, batch, up);
      Predictor.addFold(logits, up, batch * config.intermediateSize());
    }
  }

  /**
   * A logit calls when it is above the threshold, sign and all; kernels compare magnitudes. So logits
   * become how far they are above it, 0 for those that are not, against a threshold of 0.
   */
  private static void margins(float[] logits, int n, float threshold) {
    for (int i = 0; i < n; i++) {
      logits[i] = Math.max(0, logits[i] - threshold);
    }
  }

  /** Factors of the scores, [f]; null for ones. */
  private float[] scale(Method method, int layer, LayerWeights weights) {
    if (method == Method.S_COUNTDOWN_ORACLE) {
      return weights.downNorms();
    }
    return neuronScales == null ? null : neuronScales.get(layer);
  }

  /** s = act(g) * u over the rows, [batch x rows]. */
  private void coefficients(
      Method method, LayerWeights weights, float[] x, int batch, RowIndex rows, boolean dense) {
    int f = config.intermediateSize();
    switch (method) {
      case CATS -> {
        project(weights.up(), rows, dense, x, batch, coefficients);
        kernels.multiplyGathered(gate, batch, f, rows, coefficients);
      }
      case M_COUNTDOWN -> {
        project(weights.gate(), rows, dense, x, batch, coefficients);
        kernels.activate(config.activation(), coefficients, batch * rows.count());
        kernels.multiplyGathered(up, batch, f, rows, coefficients);
      }
      case D_COUNTDOWN, S_COUNTDOWN -> {
        project(weights.gate(), rows, dense, x, batch, coefficients);
        project(weights.up(), rows, dense, x, batch, upCoefficients);
        kernels.activateAndMultiply(
            config.activation(), coefficients, upCoefficients, batch * rows.count());
      }
      default -> kernels.gather(gate, batch, f, rows, coefficients);
    }
  }

  private void project(
      WeightMatrix w, RowIndex rows, boolean dense, float[] x, int batch, float[] y) {
    if (dense) {
      kernels.matmul(w, x, batch, y);
    } else {
      kernels.matmulRows(w, rows, x, batch, y);
    }
  }

  private void sum(WeightMatrix down, RowIndex rows, boolean dense, int batch, float[] y) {
    if (dense) {
      kernels.sumRows(down, coefficients, batch, y);
    } else {
      kernels.sumRows(down, rows, coefficients, batch, y);
    }
  }
}
