package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.engine.sampling.RandomStream;
import io.rollcall.kernels.cuda.Attention;
import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.DecodeProducts;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.Elementwise;
import io.rollcall.kernels.cuda.Gemm;
import io.rollcall.kernels.cuda.KeyValuePages;
import io.rollcall.kernels.cuda.PinnedBuffer;
import io.rollcall.kernels.cuda.Sampling;
import io.rollcall.kernels.cuda.StepMemory;
import io.rollcall.kernels.cuda.StepState;
import java.util.List;

/** What prefill and decode of one runner share: its stream, its sequences and how they end a pass. */
final class RunnerState {
  final DeviceModel model;
  final ModelConfig config;
  final RunnerOptions options;
  final Allocations held;
  final CudaContext context;
  final CudaStream stream;
  final StepMemory memory;
  final Elementwise elementwise;
  final Attention attention;
  final Attention.Rotation rotation;
  final DecodeProducts products;
  final Gemm gemm;
  final DeviceBuffer logits;
  private final Sampling sampling;
  private final DeviceBuffer endTokens;
  private final DeviceBuffer state;
  private final DeviceBuffer tokens;
  private final PinnedBuffer hostState;
  private final PinnedBuffer hostTokens;
  private final StepState view;
  private KeyValuePages pages;

  /**
   * @param rows most of a decode step, padding included
   * @param steps most of a call
   */
  RunnerState(DeviceModel model, RunnerOptions options, Allocations held, int rows, int steps) {
    this.model = model;
    this.options = options;
    this.held = held;
    config = model.config();
    context = model.context();
    stream = held.keep(context.newStream());
    memory = held.keep(new StepMemory(context));
    elementwise = new Elementwise(context);
    attention =
        new Attention(context, config.heads(), config.kvHeads(), config.headSize());
    rotation =
        new Attention.Rotation(
            Uploads.floats(held, stream, "rotary table", config.rope().cos(options.context())),
            Uploads.floats(held, stream, "rotary table", config.rope().sin(options.context())));
    int mostRows =
        Math.max(model.layout().queryKeyValueRows(), 2 * config.intermediateSize());
    products = held.keep(new DecodeProducts(context, mostRows, rows));
    gemm = held.keep(Gemms.open(context, stream));
    logits = held.device("logits", (long) StepState.MAX_BATCH * config.vocabulary() * Float.BYTES);
    sampling =
        held.keep(
            new Sampling(
                context,
                stream,
                config.vocabulary(),
                options.sampling().temperature(),
                options.sampling().topP()));
    int[] ends = options.endTokens().stream().mapToInt(Integer::intValue).toArray();
    endTokens = ends.length == 0 ? null : Uploads.ints(held, stream, "end tokens", ends);
    state = held.device("the step's state", StepState.BYTES);
    long tokenBytes = (long) steps * StepState.MAX_BATCH * Integer.BYTES;
    tokens = held.device("sampled tokens", tokenBytes);
    hostState = held.pinned(StepState.BYTES);
    hostTokens = held.pinned((long) StepState.MAX_BATCH * Integer.BYTES);
    view = new StepState(hostState);
  }

  /**
   * Takes the pool of keys and values; when everything else is there, since it may take what is left.
   *
   * @throws UserException when there is no room for one sequence
   */
  void allocatePages() {
    pages = held.keep(KeyValuePool.allocate(model, options));
  }

  KeyValuePages pages() {
    return pages;
  }

  Elementwise.Norm norm(DeviceBuffer weight) {
    return new Elementwise.Norm(weight, config.hiddenSize(), config.normEpsilon());
  }

  /** The norm that follows a layer: the next one's, or the one before the head. */
  Elementwise.Norm normAfter(int layer) {
    List<DeviceLayer> layers = model.weights().layers();
    return norm(
        layer + 1 < layers.size()
            ? layers.get(layer + 1).attentionNorm()
            : model.weights().norm());
  }

  /** A {@link StepState}. */
  DeviceBuffer state() {
    return state;
  }

  /** Key of a sequence's random numbers; 0 for null, which draws none. */
  static long key(RandomStream random) {
    return random == null ? 0 : random.key();
  }

  interface Fill {
    void into(StepState state);
  }

  /** Fills the state of the next step and sends it. */
  void send(Fill fill) {
    view.clear();
    fill.into(view);
    view.begin();
    stream.upload(state, 0, hostState, 0, StepState.BYTES);
  }

  /** Samples from the logits of the step's rows, and moves the state on. */
  void sample(int rows) {
    sampling.choose(stream, logits, state, rows);
    sampling.advance(
        stream, state, endTokens, endTokens == null ? 0 : options.endTokens().size(), tokens);
  }

  /** Puts the download of so many steps' tokens on the stream, [steps x MAX_BATCH], -1 of inactive rows. */
  void fetchTokens(PinnedBuffer to, int steps) {
    stream.download(to, 0, tokens, 0, (long) steps * StepState.MAX_BATCH * Integer.BYTES);
  }

  /** Waits for the stream; the tokens of one step, [MAX_BATCH]. */
  int[] awaitTokens() {
    int[] sampled = new int[StepState.MAX_BATCH];
    fetchTokens(hostTokens, 1);
    stream.synchronize();
    hostTokens.bytes().asIntBuffer().get(sampled);
    return sampled;
  }
}
