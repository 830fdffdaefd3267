package io.rollcall.engine.runner;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.LayerWeights;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.engine.model.ModelWeights;
import io.rollcall.engine.model.WeightLoader;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.kernels.WeightType;
import java.util.List;

/** A model whose weights lie on the heap. */
public record CpuModel(Model model, WeightType weightType, ModelWeights weights)
    implements LoadedModel {

  /**
   * Loads a checkpoint.
   *
   * @param weights how feed-forward weights are held: BF16 keeps every tensor as stored (f32 and f16
   *     checkpoints too), INT8 and INT4 quantise gate, up and
   *     down
   * @throws io.rollcall.engine.UserException for a missing, truncated or unsupported part
   */
  public static CpuModel load(ModelFiles files, WeightType weights) {
    try (ModelReader reader = ModelReader.open(files)) {
      ModelWeights loaded = new WeightLoader(reader.tensors(), weights).load();
      return new CpuModel(reader.finish(), weights, loaded);
    }
  }

  @Override
  public Backend backend() {
    return Backend.CPU;
  }

  @Override
  public FeedForwardCost cost() {
    return new FeedForwardCost(
        config().hiddenSize(),
        config().intermediateSize(),
        weights.layers().get(0).gate().type());
  }

  @Override
  public List<float[]> downNorms() {
    return weights.layers().stream().map(LayerWeights::downNorms).toList();
  }

  @Override
  public CacheRoom cacheRoom(int slots, int context) {
    return CacheRoom.of(config(), slots, context);
  }

  @Override
  public CpuModelRunner runner(SparsityPlan plan, RunnerOptions options) {
    return new CpuModelRunner(this, plan, options);
  }

  @Override
  public CpuModelRunner observed(Method method, ScoreObserver observer, RunnerOptions options) {
    return new CpuModelRunner(this, SparsityPlan.dense(digest()), options, method, observer);
  }

  /**
   * A runner that keeps in each layer and step the neurons with the largest scores, whatever any
   * threshold: the ideal form of a method, which cannot be had for less than computing all scores, and
   * what thresholds are compared with. For one sequence at a time.
   *
   * @param sparsity fraction of neurons dropped
   */
  public CpuModelRunner ideal(Method method, double sparsity, int context, int workers) {
    float[][] none = new float[1][config().layers()];
    SparsityProfile profile =
        new SparsityProfile(
            digest(), method, new UnionStrategy.Own(), new double[] {sparsity}, none, null);
    return new CpuModelRunner(
        this,
        new SparsityPlan(profile, Crossover.never()),
        new RankRule(config().intermediateSize(), sparsity),
        RunnerOptions.greedy(1, context, workers),
        null,
        null,
        null);
  }

  @Override
  public CpuModelRunner observed(
      Method method, Predictors predictors, ScoreObserver observer, RunnerOptions options) {
    SparsityProfile dense = SparsityProfile.dense(digest()).with(predictors);
    dense.requireShape(config(), name());
    return new CpuModelRunner(
        this, new SparsityPlan(dense, Crossover.never()), options, method, observer);
  }

  @Override
  public CpuModelRunner observed(SparsityPlan plan, LayerObserver observer, RunnerOptions options) {
    return new CpuModelRunner(this, plan, options, observer);
  }

  @Override
  public Crossover crossover(SparsityProfile profile, int batchSize, int workers) {
    return CrossoverMeasurement.measure(this, profile, batchSize, workers);
  }

  @Override
  public void close() {
    model.close();
  }
}
