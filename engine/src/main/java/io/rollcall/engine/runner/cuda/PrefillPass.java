package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.runner.TokenBatch;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;
import io.rollcall.kernels.cuda.Elementwise;
import io.rollcall.kernels.cuda.PinnedBuffer;
import io.rollcall.kernels.cuda.PrefillTiles;
import io.rollcall.kernels.cuda.Quantiser;
import java.nio.ByteBuffer;
import java.nio.IntBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Dense passes over packed prompt tokens. Products are of many rows: a quantised matrix is unpacked to
 * f16 before its product, which costs a small part of it.
 */
final class PrefillPass {
  private static final int LEAST_TOKENS = 4096;
  private static final int MOST_TOKENS = 8192;
  /** Of activations; a pass of a small model takes more tokens, since its launches would take longer. */
  private static final long ACTIVATION_BYTES = 256L << 20;

  /** Tokens from which a pass waits for products rather than for weights. */
  private static final int FILLING_TOKENS = 256;

  private final RunnerState runner;
  private final ModelConfig config;
  private final int capacity;
  private final Quantiser quantiser;
  private final PinnedBuffer staging;
  private final DeviceBuffer tokens;
  private final DeviceBuffer positions;
  private final DeviceBuffer slots;
  private final DeviceBuffer wanted;
  private final DeviceBuffer tileList;
  private final DeviceBuffer hidden;
  private final DeviceBuffer x;
  private final DeviceBuffer queryKeyValue;
  private final DeviceBuffer queries;
  private final DeviceBuffer attended;
  private final DeviceBuffer gateUp;
  private final DeviceBuffer activated;
  private final DeviceBuffer unpacked;

  PrefillPass(RunnerState runner) {
    this.runner = runner;
    config = runner.config;
    capacity = capacity(runner.model.layout());
    Allocations held = runner.held;
    quantiser = new Quantiser(runner.context);
    DeviceLayout layout = runner.model.layout();
    long n = capacity;
    long ints = n * Integer.BYTES;
    tokens = held.device("prefill tokens", ints);
    positions = held.device("prefill positions", ints);
    slots = held.device("prefill slots", ints);
    wanted = held.device("prefill wanted rows", ints);
    long tileBytes =
        PrefillTiles.maxBytes(
            capacity, capacity, config.heads() / config.kvHeads());
    tileList = held.device("prefill tiles", tileBytes);
    staging = held.pinned(4 * ints + tileBytes);
    hidden = held.device("prefill hidden states", n * config.hiddenSize() * Float.BYTES);
    x = held.device("prefill activations", n * config.hiddenSize() * Short.BYTES);
    queryKeyValue =
        held.device("prefill heads", n * layout.queryKeyValueRows() * Short.BYTES);
    queries = held.device("prefill queries", n * layout.headColumns() * Short.BYTES);
    attended = held.device("prefill attention", n * layout.headColumns() * Short.BYTES);
    gateUp = held.device("prefill gate and up", 2 * n * config.intermediateSize() * Short.BYTES);
    activated = held.device("prefill neurons", n * config.intermediateSize() * Short.BYTES);
    unpacked =
        layout.projections().quantised()
            ? held.device("an unpacked matrix", largestMatrix(layout))
            : null;
  }

  private static int capacity(DeviceLayout layout) {
    ModelConfig config = layout.config();
    long token =
        6L * config.hiddenSize()
            + 2L * layout.queryKeyValueRows()
            + 4L * layout.headColumns()
            + 6L * config.intermediateSize();
    int tokens = MOST_TOKENS;
    while (tokens > LEAST_TOKENS && tokens * token > ACTIVATION_BYTES) {
      tokens /= 2;
    }
    return tokens;
  }

  private static long largestMatrix(DeviceLayout layout) {
    long d = layout.config().hiddenSize();
    long rows =
        Math.max(layout.queryKeyValueRows(), 2L * layout.config().intermediateSize());
    return WeightType.F16.bytes(d * Math.max(rows, layout.headColumns()));
  }

  /**
   * {@link io.rollcall.engine.runner.ModelRunner#passOverhead} of a model whose time is its weights'. On an
   * H100, of the Llama-3.1-8B shape, passes of 32 and of 2048 tokens took 5.9 and 2.4 ms beyond 24 us a token
   * in 16 bits, 15.5 and 9.3 in int8, 14.5 and 8.6 in int4, since quantised weights are unpacked for each pass;
   * decode steps 5.5, 3.3 and 2.4 ms beyond their sequences ({@code bin/gpu-check --only prefill,decode
   * --args prefill:prompts=1x32,1x256,1x2048}).
   */
  static double overhead(WeightType weights, int tokens) {
    double filled =
        switch (weights) {
          case INT8 -> 2.7;
          case INT4 -> 3.6;
          default -> 0.4;
        };
    double step = (double) weights.bytes(1 << 20) / WeightType.F16.bytes(1 << 20);
    return filled + 0.8 / step * Math.max(0, 1 - (double) tokens / FILLING_TOKENS);
  }

  /** Tokens of a pass, at most. */
  int capacity() {
    return capacity;
  }

  String gemmName() {
    return Gemms.name(runner.gemm);
  }

  /** Puts the pass on the stream, up to the hidden states. */
  void run(TokenBatch batch) {
    int n = batch.size();
    PrefillTiles tiles = runner.attention.tiles(spans(batch));
    send(batch, tiles);
    List<DeviceLayer> layers = runner.model.weights().layers();
    runner.elementwise.embedTokens(
        runner.stream,
        tokens,
        runner.model.weights().embedding(),
        hidden,
        runner.norm(layers.get(0).attentionNorm()),
        x,
        n);
    for (int layer = 0; layer < layers.size(); layer++) {
      DeviceLayer w = layers.get(layer);
      attention(layer, w, tiles, n);
      normalise(runner.norm(w.feedForwardNorm()), n);
      feedForward(w, n);
      if (layer + 1 < layers.size()) {
        normalise(runner.normAfter(layer), n);
      }
    }
  }

  /**
   * x of the wanted rows, normalised for the head.
   *
   * @param to f16 [count x d]
   */
  void gather(int from, int count, DeviceBuffer to) {
    runner.elementwise.gatherNorm(
        runner.stream,
        wanted.slice((long) from * Integer.BYTES, (long) count * Integer.BYTES),
        hidden,
        Elementwise.Partials.NONE,
        runner.norm(runner.model.weights().norm()),
        to,
        count);
  }

  private void attention(int layer, DeviceLayer w, PrefillTiles tiles, int n) {
    multiply(x, w.queryKeyValue(), queryKeyValue, false, n, 0);
    runner.attention.ropeWrite(
        runner.stream, runner.rotation, runner.pages(), layer, queryKeyValue, positions, slots,
        n, queries);
    runner.attention.prefill(
        runner.stream, runner.pages(), layer, tiles, tileList, queries, attended);
    multiply(attended, w.output(), hidden, true, n, 1);
  }

  private void feedForward(DeviceLayer w, int n) {
    multiply(x, w.gateUp(), gateUp, false, n, 0);
    int f = config.intermediateSize();
    runner.elementwise.activateAndMultiply(
        runner.stream, config.activation(), gateUp, activated, n, f);
    int d = config.hiddenSize();
    runner.gemm.multiply(
        activated, f, f16(w.down()), d, hidden, d, true, n, d, f, 1 / Elementwise.NEURON_SCALE, 1);
  }

  private void normalise(Elementwise.Norm norm, int n) {
    runner.elementwise.residualNorm(
        runner.stream, hidden, Elementwise.Partials.NONE, norm, x, n);
  }

  /** out [n x rows] = in [n x columns] W^T + beta out. */
  private void multiply(
      DeviceBuffer in, DeviceMatrix w, DeviceBuffer out, boolean f32, int n, float beta) {
    runner.gemm.multiplyTransposed(in, f16(w), out, f32, n, w.rows(), w.columns(), beta);
  }

  private DeviceBuffer f16(DeviceMatrix w) {
    if (!w.type().quantised()) {
      return w.elements();
    }
    quantiser.dequantise(runner.stream, w, unpacked);
    return unpacked;
  }

  private void send(TokenBatch batch, PrefillTiles tiles) {
    int n = batch.size();
    ByteBuffer bytes = staging.bytes();
    IntBuffer ints = bytes.asIntBuffer();
    ints.put(batch.tokens(), 0, n);
    ints.put(batch.positions(), 0, n);
    ints.put(batch.slots(), 0, n);
    ints.put(batch.wanted(), 0, batch.logitRows());
    int at = 0;
    for (DeviceBuffer to : List.of(tokens, positions, slots)) {
      runner.stream.upload(to, 0, staging, at, (long) n * Integer.BYTES);
      at += n * Integer.BYTES;
    }
    if (batch.logitRows() > 0) {
      runner.stream.upload(wanted, 0, staging, at, (long) batch.logitRows() * Integer.BYTES);
      at += batch.logitRows() * Integer.BYTES;
    }
    tiles.write(bytes.position(at));
    runner.stream.upload(tileList, 0, staging, at, tiles.bytes());
  }

  /** Runs of consecutive positions of one slot. */
  private static List<PrefillTiles.Span> spans(TokenBatch batch) {
    List<PrefillTiles.Span> spans = new ArrayList<>();
    int first = 0;
    for (int row = 1; row <= batch.size(); row++) {
      boolean goesOn =
          row < batch.size()
              && batch.slots()[row] == batch.slots()[first]
              && batch.positions()[row] == batch.positions()[first] + row - first;
      if (!goesOn) {
        spans.add(
            new PrefillTiles.Span(
                batch.slots()[first], first, batch.positions()[first], row - first));
        first = row;
      }
    }
    return spans;
  }
}
