package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Correction;
import io.rollcall.engine.sparsity.Corrections;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.NeuronScales;
import io.rollcall.engine.sparsity.Predictor;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.DecodeCorrection;
import io.rollcall.kernels.cuda.DecodeFeedForward;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;
import io.rollcall.kernels.cuda.Elementwise;
import io.rollcall.kernels.cuda.StepState;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A sparsity plan on the device: the rule by which neurons are called, and each layer with what the
 * rule needs.
 *
 * @param scales [layer][f] factors of the scores; null for ones
 * @param corrections of each layer; null for none
 */
record DeviceRule(
    DecodeFeedForward.Rule rule,
    List<DecodeFeedForward.Layer> layers,
    List<float[]> scales,
    List<DecodeCorrection.Layer> corrections) {
  private static final int BUCKETS = BatchBuckets.count(StepState.MAX_BATCH);
  private static final int COLUMNS = 64;

  static DeviceRule of(
      DeviceModel model, SparsityPlan plan, Allocations held, CudaStream stream) {
    ModelConfig config = model.config();
    int f = config.intermediateSize();
    Method method = plan.method();
    if (!method.sparse()) {
      return new DeviceRule(
          DecodeFeedForward.Rule.dense(), layers(model, plan, null, held, stream), null, null);
    }
    int mostRows =
        plan.union() instanceof UnionStrategy.Budget budget ? (int) (budget.fraction() * f) : f;
    var rule =
        new DecodeFeedForward.Rule(
            scores(method),
            plan.union() instanceof UnionStrategy.Own,
            mostRows,
            Uploads.floats(held, stream, "thresholds", thresholds(plan, config.layers())),
            Uploads.ints(held, stream, "crossover", denseFrom(plan.crossover(), f)));
    List<float[]> scales = scales(model, plan.profile());
    return new DeviceRule(
        rule,
        layers(model, plan, scales, held, stream),
        scales,
        corrections(plan.profile().corrections(), held, stream));
  }

  /** A rule under which every neuron with a score above 0 is called: what shows the scores. */
  static DeviceRule observing(
      DeviceModel model, Method method, Allocations held, CudaStream stream) {
    if (!method.sparse() || method.needsPredictor()) {
      throw new IllegalArgumentException(method + " has no scores to observe");
    }
    int f = model.config().intermediateSize();
    var rule =
        new DecodeFeedForward.Rule(
            scores(method),
            false,
            f,
            Uploads.floats(held, stream, "thresholds", new float[BUCKETS * model.config().layers()]),
            Uploads.ints(held, stream, "crossover", denseFrom(Crossover.never(), f)));
    List<float[]> scales = norms(model, method);
    SparsityPlan dense = SparsityPlan.dense(model.digest());
    return new DeviceRule(rule, layers(model, dense, scales, held, stream), scales, null);
  }

  private static List<float[]> scales(DeviceModel model, SparsityProfile profile) {
    NeuronScales scales = profile.neuronScales();
    return scales == null ? norms(model, profile.method()) : scales.floats();
  }

  private static List<float[]> norms(DeviceModel model, Method method) {
    return method == Method.S_COUNTDOWN_ORACLE ? model.downNorms() : null;
  }

  /** The same, by the same kernels, with a budget that nothing is too much for. */
  DeviceRule untrimmed(int f) {
    int mostRows = rule.mostRows() < f ? f - 1 : f;
    var all =
        new DecodeFeedForward.Rule(
            rule.scores(), rule.own(), mostRows, rule.thresholds(), rule.denseFrom());
    return new DeviceRule(all, layers, scales, corrections);
  }

  /** Whether a score itself must be above the threshold, not its magnitude. */
  boolean signed() {
    return rule.scores() == DecodeFeedForward.Scores.PREDICTOR;
  }

  /** How large a score counts, against the threshold. */
  float magnitude(int layer, int neuron, float score) {
    return signed() ? score : Math.abs(score) * (scales == null ? 1 : scales.get(layer)[neuron]);
  }

  static DecodeFeedForward.Scores scores(Method method) {
    return switch (method) {
      case DENSE -> DecodeFeedForward.Scores.NONE;
      case CATS -> DecodeFeedForward.Scores.GATE;
      case M_COUNTDOWN -> DecodeFeedForward.Scores.UP;
      case D_COUNTDOWN_ORACLE, S_COUNTDOWN_ORACLE -> DecodeFeedForward.Scores.BOTH;
      case D_COUNTDOWN, S_COUNTDOWN -> DecodeFeedForward.Scores.PREDICTOR;
    };
  }

  /** [buckets x layers]. */
  private static float[] thresholds(SparsityPlan plan, int layers) {
    float[] table = new float[BUCKETS * layers];
    for (int i = 0; i < table.length; i++) {
      table[i] = plan.profile().threshold(i / layers, i % layers);
    }
    return table;
  }

  /** By bucket, the smallest union in rows that the crossover runs dense; f + 1 for none. */
  static int[] denseFrom(Crossover crossover, int f) {
    int[] rows = new int[BUCKETS];
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
      while (rows[bucket] <= f && !crossover.dense(bucket, (double) rows[bucket] / f)) {
        rows[bucket]++;
      }
    }
    return rows;
  }

  private static List<DecodeFeedForward.Layer> layers(
      DeviceModel model,
      SparsityPlan plan,
      List<float[]> scales,
      Allocations held,
      CudaStream stream) {
    List<DecodeFeedForward.Layer> layers = new ArrayList<>();
    for (int i = 0; i < model.weights().layers().size(); i++) {
      DeviceLayer weights = model.weights().layers().get(i);
      DeviceBuffer scale =
          scales == null
              ? null
              : Uploads.floats(held, stream, "factors of scores", scales.get(i));
      DeviceMatrix a = null;
      DeviceMatrix b = null;
      if (plan.method().needsPredictor()) {
        Predictor predictor = plan.profile().predictors().layers().get(i);
        int rank = padded(predictor.rank());
        a =
            factor(
                held, stream, predictor.precision(), rank, predictor.hidden(),
                padRows(predictor.a(), predictor.hidden(), rank));
        int f = predictor.intermediate();
        b =
            factor(
                held, stream, predictor.precision(), predictor.folded() ? 2 * f : f, rank,
                padColumns(logits(predictor), predictor.rank(), rank));
      }
      layers.add(
          new DecodeFeedForward.Layer(weights.gateUp(), weights.down(), scale, a, b));
    }
    return layers;
  }

  /** B, and the fold below it. */
  private static short[] logits(Predictor predictor) {
    if (!predictor.folded()) {
      return predictor.b();
    }
    short[] both = Arrays.copyOf(predictor.b(), 2 * predictor.b().length);
    System.arraycopy(predictor.fold(), 0, both, predictor.b().length, predictor.b().length);
    return both;
  }

  /** @param elements bf16 bits */
  private static DeviceMatrix factor(
      Allocations held, CudaStream stream, WeightType precision, int rows, int columns, short[] elements) {
    return precision.quantised()
        ? Uploads.quantised(held, stream, precision, rows, columns, elements)
        : Uploads.matrix(held, stream, new Elementwise(held.context()), rows, columns, elements);
  }

  private static List<DecodeCorrection.Layer> corrections(
      Corrections corrections, Allocations held, CudaStream stream) {
    if (corrections == null) {
      return null;
    }
    Elementwise elementwise = new Elementwise(held.context());
    List<DecodeCorrection.Layer> layers = new ArrayList<>();
    for (Correction correction : corrections.layers()) {
      int d = correction.hidden();
      float[] bias = new float[BUCKETS * d];
      for (int bucket = 0; bucket < BUCKETS; bucket++) {
        System.arraycopy(correction.bias(bucket), 0, bias, bucket * d, d);
      }
      int rank = padded(correction.rank());
      boolean mapped = rank > 0;
      layers.add(
          new DecodeCorrection.Layer(
              Uploads.floats(held, stream, "a correction's means", bias),
              mapped
                  ? Uploads.matrix(
                      held, stream, elementwise, rank, d, padRows(correction.down(), d, rank))
                  : null,
              mapped
                  ? Uploads.matrix(
                      held, stream, elementwise, d, rank,
                      padColumns(correction.up(), correction.rank(), rank))
                  : null));
    }
    return layers;
  }

  /** Of the corrections, as matrices have it; 0 without. */
  int mostCorrectionRank() {
    return corrections == null
        ? 0
        : corrections.stream()
            .filter(layer -> layer.down() != null)
            .mapToInt(layer -> layer.down().rows())
            .max()
            .orElse(0);
  }

  private static int padded(int rank) {
    return (rank + COLUMNS - 1) / COLUMNS * COLUMNS;
  }

  private static short[] padRows(short[] matrix, int columns, int rows) {
    return Arrays.copyOf(matrix, rows * columns);
  }

  private static short[] padColumns(short[] matrix, int columns, int padded) {
    int rows = matrix.length / columns;
    short[] wider = new short[rows * padded];
    for (int row = 0; row < rows; row++) {
      System.arraycopy(matrix, row * columns, wider, row * padded, columns);
    }
    return wider;
  }
}
