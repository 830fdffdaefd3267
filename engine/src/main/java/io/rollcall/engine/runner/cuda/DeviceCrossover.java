package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.Quantiles;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.kernels.Float16;
import io.rollcall.kernels.cuda.CudaEvent;
import io.rollcall.kernels.cuda.CudaGraph;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.DecodeCorrection;
import io.rollcall.kernels.cuda.DecodeFeedForward;
import io.rollcall.kernels.cuda.DecodeProducts;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.PinnedBuffer;
import io.rollcall.kernels.cuda.StepMemory;
import io.rollcall.kernels.cuda.StepState;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.Random;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Times a model's feed-forward layers on the device, with unions of several densities and with every
 * row. Inputs are random; a threshold for each layer, found among its scores, gives the wanted union.
 */
final class DeviceCrossover implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(DeviceCrossover.class);
  private static final double[] DENSITIES = {0.3, 0.5, 0.7, 0.9};
  private static final int MOST_LAYERS = 8;
  private static final int ROUNDS = 5;
  private static final int REPLAYS = 10;

  private final Allocations held;
  private final CudaStream stream;
  private final ModelConfig config;
  private final int layers;
  private final int bucketCount;
  private final DeviceRule rule;
  private final DecodeFeedForward feedForward;
  private final DecodeCorrection correction;
  private final DeviceBuffer x;
  private final DeviceBuffer state;
  private final DeviceBuffer records;
  private final DeviceBuffer sums;
  private final PinnedBuffer hostState;
  private final PinnedBuffer hostScores;
  private final CudaEvent start;
  private final CudaEvent end;

  private DeviceCrossover(
      DeviceModel model, SparsityProfile profile, int batchSize, Allocations held) {
    this.held = held;
    config = model.config();
    layers = Math.min(MOST_LAYERS, config.layers());
    bucketCount = BatchBuckets.count(batchSize);
    int rows = BatchBuckets.largest(bucketCount - 1);
    int d = config.hiddenSize();
    int f = config.intermediateSize();
    stream = held.keep(model.context().newStream());
    // a budget would trim the unions that are timed
    rule = DeviceRule.of(model, new SparsityPlan(profile, Crossover.never()), held, stream).untrimmed(f);
    var memory = held.keep(new StepMemory(model.context()));
    var products = held.keep(new DecodeProducts(model.context(), 2 * f, rows));
    feedForward =
        held.keep(
            new DecodeFeedForward(memory, products, d, f, config.activation(), rows));
    correction =
        rule.corrections() == null
            ? null
            : held.keep(
                new DecodeCorrection(memory, products, rule.mostCorrectionRank(), rows));
    x = held.keep(memory.allocate("a measurement's input", (long) rows * d * Short.BYTES));
    stream.upload(x, 0, normal(rows * d));
    state = held.device("the step's state", StepState.BYTES);
    long recordBytes = (long) config.layers() * StepState.RECORD_STRIDE * Integer.BYTES;
    DeviceBuffer both = held.device("step records", 2 * recordBytes);
    // a step takes a record that says dense for its own word
    stream.zero(both, 0, both.bytes());
    records = both.slice(recordBytes, recordBytes);
    long most = 0;
    for (int b = 1; b <= rows; b *= 2) {
      most = Math.max(most, (long) feedForward.splits(b) * b);
    }
    sums = held.keep(memory.allocate("summands", most * d * Float.BYTES));
    memory.keep(stream);
    hostState = held.pinned(StepState.BYTES);
    hostScores = held.pinned((long) DecodeFeedForward.tile(rows) * f * Float.BYTES);
    start = held.keep(model.context().newEvent());
    end = held.keep(model.context().newEvent());
  }

  /** The crossover of each batch bucket up to {@code batchSize}. */
  static Crossover measure(DeviceModel model, SparsityProfile profile, int batchSize) {
    Allocations held = new Allocations(model.context());
    try (var measurement = open(model, profile, Math.min(batchSize, StepState.MAX_BATCH), held)) {
      double[] density = new double[measurement.bucketCount];
      Arrays.setAll(
          density,
          bucket -> measurement.bucket(bucket, Math.min(BatchBuckets.largest(bucket), batchSize)));
      Crossover crossover = new Crossover(density);
      LOG.info(
          "{} runs dense from union density {} by batch bucket", profile.method(), crossover);
      return crossover;
    }
  }

  private static DeviceCrossover open(
      DeviceModel model, SparsityProfile profile, int batchSize, Allocations held) {
    try {
      return new DeviceCrossover(model, profile, batchSize, held);
    } catch (RuntimeException e) {
      held.close();
      throw e;
    }
  }

  private static ByteBuffer normal(int n) {
    Random random = new Random(1);
    ByteBuffer bytes = Uploads.direct(Short.BYTES * n);
    for (int i = 0; i < n; i++) {
      bytes.putShort(
          2 * i, (short) Float16.fromFloat((float) random.nextGaussian()));
    }
    return bytes;
  }

  private double bucket(int bucket, int batch) {
    int rows = BatchBuckets.largest(bucket);
    StepState step = new StepState(hostState);
    step.clear();
    for (int b = 0; b < batch; b++) {
      step.set(b, 0, 0, 0, b, 0, 1);
    }
    step.begin();
    stream.upload(state, 0, hostState, 0, StepState.BYTES);
    float[][] thresholds = thresholds(rows, batch);
    double[] sparse = new double[DENSITIES.length];
    Arrays.fill(sparse, Double.MAX_VALUE);
    double dense = Double.MAX_VALUE;
    try (CudaGraph pass = capture(rows, rule.rule());
        CudaGraph densePass = capture(rows, DecodeFeedForward.Rule.dense())) {
      for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < sparse.length; i++) {
          sparse[i] = Math.min(sparse[i], time(pass, thresholds[i], bucket));
        }
        dense = Math.min(dense, time(densePass, thresholds[0], bucket));
      }
    }
    LOG.debug("batch {}: sparse {} ms, dense {} ms a pass", batch, sparse, dense);
    return Crossover.between(DENSITIES, sparse, dense);
  }

  /** [density][layer] thresholds that give the batch's union the density. */
  private float[][] thresholds(int rows, int batch) {
    int f = config.intermediateSize();
    int tile = DecodeFeedForward.tile(rows);
    float[][] thresholds = new float[DENSITIES.length][layers];
    float[] largest = new float[f];
    for (int layer = 0; layer < layers; layer++) {
      feedForward.score(stream, call(layer, rows, rule.rule()));
      stream.download(hostScores, 0, feedForward.scores(), 0, (long) f * tile * Float.BYTES);
      stream.synchronize();
      FloatBuffer scores = hostScores.bytes().asFloatBuffer();
      for (int i = 0; i < f; i++) {
        largest[i] = Float.NEGATIVE_INFINITY;
        for (int b = 0; b < batch; b++) {
          float score = rule.magnitude(layer, i, scores.get(i * tile + b));
          largest[i] = Math.max(largest[i], score);
        }
      }
      for (int i = 0; i < DENSITIES.length; i++) {
        thresholds[i][layer] = Quantiles.quantile(largest, f, 1 - DENSITIES[i]);
      }
    }
    return thresholds;
  }

  private CudaGraph capture(int rows, DecodeFeedForward.Rule rule) {
    pass(rows, rule);
    return stream.capture("feed-forward of " + rows + " sequences", () -> pass(rows, rule));
  }

  /** All layers in turn, so that the cache has none of a layer's weights when it comes round again. */
  private void pass(int rows, DecodeFeedForward.Rule by) {
    for (int layer = 0; layer < layers; layer++) {
      DecodeFeedForward.Call call = call(layer, rows, by);
      feedForward.step(stream, call);
      if (by == rule.rule() && correction != null) {
        correction.add(stream, rule.corrections().get(layer), call, sums);
      }
    }
  }

  private DecodeFeedForward.Call call(int layer, int rows, DecodeFeedForward.Rule by) {
    return new DecodeFeedForward.Call(
        rule.layers().get(layer), layer, config.layers(), by, x, rows, state, records, sums);
  }

  /** Milliseconds of one pass. */
  private double time(CudaGraph pass, float[] thresholds, int bucket) {
    stream.upload(
        rule.rule().thresholds(),
        (long) bucket * config.layers() * Float.BYTES,
        Uploads.bytes(thresholds));
    pass.launch(stream);
    start.record(stream);
    for (int i = 0; i < REPLAYS; i++) {
      pass.launch(stream);
    }
    end.record(stream);
    end.synchronize();
    return CudaEvent.millis(start, end) / REPLAYS;
  }

  @Override
  public void close() {
    held.close();
  }
}
