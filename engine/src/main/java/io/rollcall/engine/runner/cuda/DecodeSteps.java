package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.kernels.cuda.CudaGraph;
import io.rollcall.kernels.cuda.DecodeCorrection;
import io.rollcall.kernels.cuda.DecodeFeedForward;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.Elementwise;
import io.rollcall.kernels.cuda.PinnedBuffer;
import io.rollcall.kernels.cuda.StepMemory;
import io.rollcall.kernels.cuda.StepState;
import java.util.List;

/**
 * Decode steps: what one puts on the stream, and the graphs that replay it, one a batch bucket. Which
 * sequences there are, where they stand and what they called stays on the device from step to step.
 */
final class DecodeSteps {
  private final RunnerState runner;
  private final ModelConfig config;
  private final DecodeFeedForward feedForward;
  private final DecodeFeedForward.Rule rule;
  private final List<DecodeFeedForward.Layer> feedForwardLayers;
  private final List<DecodeCorrection.Layer> corrections;
  private final DecodeCorrection correction;
  private final DecodeAttention attention;
  private final CudaGraph[] graphs;
  private final DeviceBuffer hidden;
  private final DeviceBuffer x;
  private final DeviceBuffer sums;
  private final DeviceBuffer records;
  private final DeviceBuffer recordBefore;
  private int stepsBefore;

  /** Sees a layer's feed-forward input before it is computed with. */
  interface LayerHook {
    void before(DecodeFeedForward.Call call);
  }

  /**
   * @param rows most of a step, padding included
   * @param steps most of a call
   */
  DecodeSteps(
      RunnerState runner, DecodeFeedForward feedForward, DeviceRule rule, int rows, int steps) {
    this.runner = runner;
    this.feedForward = feedForward;
    this.rule = rule.rule();
    feedForwardLayers = rule.layers();
    config = runner.config;
    Allocations held = runner.held;
    corrections = rule.corrections();
    correction =
        corrections == null
            ? null
            : held.keep(
                new DecodeCorrection(
                    runner.memory, runner.products, rule.mostCorrectionRank(), rows));
    DeviceLayout layout = runner.model.layout();
    int d = config.hiddenSize();
    graphs = new CudaGraph[BatchBuckets.count(rows)];
    StepMemory memory = runner.memory;
    hidden = held.keep(memory.allocate("hidden states", (long) rows * d * Float.BYTES));
    x =
        held.keep(
            memory.allocate(
                "activations", (long) rows * Math.max(d, layout.headColumns()) * Short.BYTES));
    attention = new DecodeAttention(runner, rows);
    sums = held.keep(memory.allocate("summands of the hidden states", sumBytes(rows)));
    DeviceBuffer allRecords = held.device("step records", recordBytes(steps + 1));
    runner.stream.zero(allRecords, 0, allRecords.bytes());
    recordBefore = allRecords.slice(0, recordBytes(1));
    records = allRecords.slice(recordBytes(1), recordBytes(steps));
  }

  private long sumBytes(int mostRows) {
    long most = 0;
    for (int rows = 1; rows <= mostRows; rows *= 2) {
      int splits = Math.max(attention.outputSplits(rows), feedForwardSplits(rows));
      most = Math.max(most, (long) splits * rows);
    }
    return most * config.hiddenSize() * Float.BYTES;
  }

  /** Summands of a layer's output, its correction included. */
  private int feedForwardSplits(int rows) {
    return feedForward.splits(rows) + (correction == null ? 0 : 1);
  }

  /** x of so many rows, f16 [rows x d]: what prefill gathers its last tokens into. */
  DeviceBuffer x() {
    return x;
  }

  /** Logits of x's rows. */
  void head(int rows) {
    runner.products.project(
        runner.stream, runner.model.weights().head(), x, rows, runner.logits);
  }

  /**
   * Puts steps on the stream, the state having been sent. The first of a bucket runs as it is, which
   * loads its kernels; then it is captured.
   */
  void run(int rows, int steps) {
    clearRecords(steps);
    int bucket = BatchBuckets.of(rows);
    for (int step = 0; step < steps; step++) {
      if (graphs[bucket] != null) {
        graphs[bucket].launch(runner.stream);
      } else {
        // launch by launch, a kernel may begin before the step before has ended, and reads its records and
        // the state
        runner.stream.synchronize();
        step(rows, call -> {});
        graphs[bucket] =
            runner.held.keep(
                runner.stream.capture(
                    "decode step of " + rows + " sequences", () -> step(rows, call -> {})));
      }
    }
  }

  /** One step that is looked at, launch by launch. */
  void runObserved(int rows, LayerHook hook) {
    clearRecords(1);
    step(rows, hook);
  }

  /** Of int [steps x layers x RECORD_STRIDE]. */
  long recordBytes(int steps) {
    return (long) steps * config.layers() * StepState.RECORD_STRIDE * Integer.BYTES;
  }

  /** Empties the records of the steps to come; the last of those before stays for the first to see. */
  private void clearRecords(int steps) {
    if (stepsBefore > 0) {
      runner.stream.copy(recordBefore, 0, records, recordBytes(stepsBefore - 1), recordBytes(1));
    }
    stepsBefore = steps;
    runner.stream.zero(records, 0, recordBytes(steps));
  }

  private void step(int rows, LayerHook hook) {
    List<DeviceLayer> layers = runner.model.weights().layers();
    runner.elementwise.embedStep(
        runner.stream,
        runner.state(),
        runner.model.weights().embedding(),
        hidden,
        runner.norm(layers.get(0).attentionNorm()),
        x,
        rows);
    for (int layer = 0; layer < layers.size(); layer++) {
      DeviceLayer w = layers.get(layer);
      attention.attend(layer, x, rows);
      attention.output(layer, rows, sums);
      normalise(attention.outputSplits(rows), runner.norm(w.feedForwardNorm()), rows);
      DecodeFeedForward.Call call = call(layer, rows);
      hook.before(call);
      feedForward.step(runner.stream, call);
      if (correction != null) {
        long bytes = (long) rows * config.hiddenSize() * Float.BYTES;
        DeviceBuffer last = sums.slice(feedForward.splits(rows) * bytes, bytes);
        correction.add(runner.stream, corrections.get(layer), call, last);
      }
      normalise(feedForwardSplits(rows), runner.normAfter(layer), rows);
    }
    head(rows);
    runner.sample(rows);
  }

  private DecodeFeedForward.Call call(int layer, int rows) {
    return new DecodeFeedForward.Call(
        feedForwardLayers.get(layer), layer, config.layers(), rule, x, rows, runner.state(),
        records, sums);
  }

  private void normalise(int splits, Elementwise.Norm norm, int rows) {
    runner.elementwise.residualNorm(
        runner.stream,
        hidden,
        new Elementwise.Partials(sums, splits, (long) rows * config.hiddenSize()),
        norm,
        x,
        rows);
  }

  /** Puts the download of the records on the stream. */
  void fetchRecords(PinnedBuffer to, int steps) {
    runner.stream.download(to, 0, records, 0, recordBytes(steps));
  }
}
