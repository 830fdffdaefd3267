package io.rollcall.engine.runner;

import io.rollcall.engine.model.LayerWeights;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.model.ModelWeights;
import io.rollcall.engine.sampling.RandomStream;
import io.rollcall.engine.sampling.Sampler;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.statistics.SparsityCounters;
import io.rollcall.kernels.Kernels;
import io.rollcall.kernels.WorkerPool;
import io.rollcall.kernels.cpu.CpuKernels;
import java.util.List;

/** The model on the CPU: prefill and decode are one pass, told apart by their feed-forward. */
public final class CpuModelRunner implements ModelRunner {
  /** Tokens of one prefill pass: bounds the scratch memory, and long enough for the kernels. */
  private static final int PREFILL_TOKENS = 512;

  private final ModelConfig config;
  private final ModelWeights weights;
  private final WorkerPool pool;
  private final Kernels kernels;
  private final KeyValueCache cache;
  private final FeedForward feedForward;
  private final Method observed;
  private final ScoreObserver observer;
  private final LayerObserver layerObserver;
  private final Sampler sampler;
  private final TokenBatch step;
  private final float[] cos;
  private final float[] sin;

  private final float[] hidden;
  private final float[] normed;
  private final float[] query;
  private final float[] key;
  private final float[] value;
  private final float[] attended;
  private final int[] slotOffsets;
  private final float[] mixed;
  private final float[] last;
  private final float[] logits;

  public CpuModelRunner(CpuModel model, SparsityPlan plan, RunnerOptions options) {
    this(model, plan, options, null, null);
  }

  /** @param layers sees every feed-forward layer of the steps */
  CpuModelRunner(CpuModel model, SparsityPlan plan, RunnerOptions options, LayerObserver layers) {
    this(model, plan, ThresholdRule.of(plan.profile()), options, null, null, layers);
  }

  /**
   * @param observed a method whose scores the observer sees while the steps run by the plan; null for
   *     the plan's own
   */
  public CpuModelRunner(
      CpuModel model,
      SparsityPlan plan,
      RunnerOptions options,
      Method observed,
      ScoreObserver observer) {
    this(model, plan, ThresholdRule.of(plan.profile()), options, observed, observer, null);
  }

  CpuModelRunner(
      CpuModel model,
      SparsityPlan plan,
      ThresholdRule thresholds,
      RunnerOptions options,
      Method observed,
      ScoreObserver observer,
      LayerObserver layerObserver) {
    config = model.config();
    weights = model.weights();
    int slots = options.slots();
    int context = options.context();
    cache = new KeyValueCache(config, slots, context);
    int tokens = Math.max(PREFILL_TOKENS, slots);
    int d = config.hiddenSize();
    int heads = config.heads() * config.headSize();
    int kvHeads = config.kvHeads() * config.headSize();
    hidden = new float[tokens * d];
    normed = new float[tokens * d];
    query = new float[tokens * heads];
    key = new float[tokens * kvHeads];
    value = new float[tokens * kvHeads];
    attended = new float[tokens * heads];
    mixed = new float[tokens * d];
    slotOffsets = new int[tokens];
    step = new TokenBatch(slots);
    last = new float[slots * d];
    logits = new float[Math.multiplyExact(slots, config.vocabulary())];
    cos = config.rope().cos(context);
    sin = config.rope().sin(context);
    this.observed = observed;
    this.observer = observer;
    this.layerObserver = layerObserver;
    sampler = new Sampler(options.sampling(), config.vocabulary());
    pool = new WorkerPool(options.workers());
    kernels = CpuKernels.create(pool);
    feedForward =
        new FeedForward(
            kernels, config, plan, thresholds, model.cost(), tokens, slots, observer);
  }

  @Override
  public String device() {
    return kernels.description();
  }

  @Override
  public int tokenCapacity() {
    return slotOffsets.length;
  }

  @Override
  public int stepsPerCall() {
    return 1;
  }

  /** Every slot holds the whole context. */
  @Override
  public boolean reserve(int slot, int positions) {
    return true;
  }

  @Override
  public void release(int slot) {}

  @Override
  public boolean adopt(ModelRunner other, int slot, int positions) {
    return other instanceof CpuModelRunner runner && cache.copy(runner.cache, slot, positions);
  }

  @Override
  public int[] prefill(TokenBatch batch) {
    forward(
        batch,
        (layer, w) -> feedForward.dense(w, normed, batch.size(), mixed));
    int[] sampled = new int[batch.logitRows()];
    for (int row = 0; row < sampled.length; row++) {
      sampled[row] = sample(row, batch.random[row], 0);
    }
    return sampled;
  }

  @Override
  public List<DecodeStep> decode(List<DecodeSequence> sequences, SparsityCounters counters) {
    int n = sequences.size();
    step.clear();
    for (DecodeSequence s : sequences) {
      step.addLast(s.token(), s.position(), s.slot(), s.random());
    }
    if (observer != null) {
      observer.begin(sequences);
    }
    StepRecord record = new StepRecord(counters, n, n);
    forward(
        step,
        (layer, w) -> {
          if (observed != null) {
            feedForward.observeDense(layer, observed, w, normed, n);
          }
          feedForward.step(layer, w, normed, n, mixed, record);
          if (layerObserver != null) {
            layerObserver.observe(
                new ObservedLayer(
                    layer, n, normed, hidden, mixed, y -> feedForward.dense(w, normed, n, y)));
          }
        });
    int[] sampled = new int[n];
    for (int row = 0; row < n; row++) {
      DecodeSequence s = sequences.get(row);
      sampled[row] = sample(row, s.random(), s.outputIndex());
    }
    return List.of(record.finish(sampled));
  }

  private int sample(int row, RandomStream random, int index) {
    return sampler.sample(logits, row * config.vocabulary(), random, index);
  }

  @Override
  public float[] logits() {
    return logits;
  }

  @Override
  public void close() {
    pool.close();
    cache.close();
  }

  private interface LayerFeedForward {
    /** normed [n x d] to mixed [n x d]. */
    void run(int layer, LayerWeights weights);
  }

  private void forward(TokenBatch batch, LayerFeedForward feedForward) {
    int n = batch.size();
    int d = config.hiddenSize();
    for (int t = 0; t < n; t++) {
      weights.embedding().row(batch.tokens[t], hidden, t * d);
      slotOffsets[t] = cache.slotOffset(batch.slots[t]);
    }
    for (int layer = 0; layer < config.layers(); layer++) {
      LayerWeights w = weights.layers().get(layer);
      kernels.rmsNorm(hidden, n, d, w.attentionNorm(), config.normEpsilon(), normed);
      attention(layer, w, batch);
      kernels.add(hidden, normed, n * d);
      kernels.rmsNorm(hidden, n, d, w.feedForwardNorm(), config.normEpsilon(), normed);
      feedForward.run(layer, w);
      kernels.add(hidden, mixed, n * d);
    }
    head(batch);
  }

  /** normed to normed. */
  private void attention(int layer, LayerWeights w, TokenBatch batch) {
    int n = batch.size();
    kernels.matmul(w.query(), normed, n, query);
    kernels.matmul(w.key(), normed, n, key);
    kernels.matmul(w.value(), normed, n, value);
    int size = config.headSize();
    kernels.rope(query, n, config.heads(), size, batch.positions, cos, sin);
    kernels.rope(key, n, config.kvHeads(), size, batch.positions, cos, sin);
    for (int t = 0; t < n; t++) {
      cache.put(layer, batch.slots[t], batch.positions[t], key, value, t);
    }
    kernels.attention(
        cache.shape(),
        query,
        cache.keys(layer),
        cache.values(layer),
        slotOffsets,
        batch.positions,
        n,
        attended);
    kernels.matmul(w.output(), attended, n, normed);
  }

  private void head(TokenBatch batch) {
    int wanted = batch.logitRows();
    if (wanted == 0) {
      return;
    }
    int d = config.hiddenSize();
    for (int i = 0; i < wanted; i++) {
      System.arraycopy(hidden, batch.wanted[i] * d, last, i * d, d);
    }
    kernels.rmsNorm(last, wanted, d, weights.norm(), config.normEpsilon(), last);
    kernels.matmul(weights.head(), last, wanted, logits);
  }
}
