package io.rollcall.engine.runner;

import io.rollcall.engine.model.LayerWeights;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.model.ModelWeights;
import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.kernels.Kernels;
import io.rollcall.kernels.WorkerPool;
import io.rollcall.kernels.cpu.CpuKernels;

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

  /**
   * @param slots sequences that the cache holds
   * @param context positions of each
   * @param workers threads, the caller's included
   */
  public CpuModelRunner(Model model, SparsityPlan plan, int slots, int context, int workers) {
    this(model, plan, slots, context, workers, null, null);
  }

  /**
   * @param observed a method whose scores the observer sees while the steps run by the plan; null for
   *     the plan's own
   */
  public CpuModelRunner(
      Model model,
      SparsityPlan plan,
      int slots,
      int context,
      int workers,
      Method observed,
      ScoreObserver observer) {
    config = model.config();
    weights = model.weights();
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
    last = new float[slots * d];
    logits = new float[Math.multiplyExact(slots, config.vocabulary())];
    cos = config.rope().cos(context);
    sin = config.rope().sin(context);
    this.observed = observed;
    pool = new WorkerPool(workers);
    kernels = CpuKernels.create(pool);
    FeedForwardCost cost = cost(model);
    feedForward = new FeedForward(kernels, config, plan, cost, tokens, slots, observer);
  }

  /** What a layer's feed-forward weights cost to read in this model. */
  public static FeedForwardCost cost(Model model) {
    return new FeedForwardCost(
        model.config().hiddenSize(),
        model.config().intermediateSize(),
        model.weights().layers().get(0).gate().type());
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
  public void prefill(TokenBatch batch) {
    forward(
        batch,
        (layer, w) -> feedForward.dense(w, normed, batch.size(), mixed));
  }

  @Override
  public void decode(TokenBatch batch, StepRecord record) {
    record.begin(batch.size());
    forward(
        batch,
        (layer, w) -> {
          if (observed != null) {
            feedForward.observeDense(layer, observed, w, normed, batch.size());
          }
          feedForward.step(layer, w, normed, batch.size(), mixed, record);
        });
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
