package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.DecodeStep;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.engine.runner.TokenBatch;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.statistics.SparsityCounters;
import io.rollcall.kernels.cuda.CudaDevice;
import io.rollcall.kernels.cuda.DecodeFeedForward;
import io.rollcall.kernels.cuda.DeviceMemoryException;
import io.rollcall.kernels.cuda.PinnedBuffer;
import io.rollcall.kernels.cuda.StepState;
import java.util.List;

/** The model on a CUDA device. */
public final class CudaModelRunner implements ModelRunner {
  /**
   * Steps of smaller models follow each other without the host. Of larger ones each is looked at, while
   * the next one runs.
   */
  private static final long STEPWISE_BYTES = 2L << 30;

  private static final int MOST_STEPS = 8;

  private final DeviceModel model;
  private final ModelConfig config;
  private final Allocations held;
  private final RunnerState state;
  private final PrefillPass prefill;
  private final DecodeSteps decode;
  private final DecodeCalls calls;
  private final ScoreDownload scores;
  private final StepOutcomes outcomes;
  private final boolean greedy;
  /** Most rows of a step, padding included. */
  private final int rows;

  private final int steps;

  /** Logits fetched already, or null while they are on the device alone. */
  private float[] logits;

  private int logitRows;

  private CudaModelRunner(
      DeviceModel model,
      SparsityPlan plan,
      RunnerOptions options,
      Observation observation,
      int steps,
      Allocations held) {
    this.model = model;
    this.held = held;
    config = model.config();
    outcomes = new StepOutcomes(config, plan, model.cost());
    greedy = options.sampling().temperature() == 0;
    this.steps = steps;
    rows = BatchBuckets.padded(options.slots());
    state = new RunnerState(model, options, held, rows, steps);
    var feedForward =
        held.keep(
            new DecodeFeedForward(
                state.memory,
                state.products,
                config.hiddenSize(),
                config.intermediateSize(),
                config.activation(),
                rows));
    DeviceRule rule = DeviceRule.of(model, plan, held, state.stream);
    decode = new DecodeSteps(state, feedForward, rule, rows, steps);
    calls = new DecodeCalls(state, decode, steps);
    prefill = new PrefillPass(state);
    scores = observation == null ? null : new ScoreDownload(state, feedForward, observation, rows);
    state.memory.keep(state.stream);
    state.allocatePages();
    state.stream.synchronize();
  }

  /**
   * @param observation null for none
   * @throws UserException when the batch is too large for a step, or memory runs out
   */
  static CudaModelRunner create(
      DeviceModel model, SparsityPlan plan, RunnerOptions options, Observation observation) {
    int steps = observation != null ? 1 : stepsPerCall(model.weights().bytes());
    return create(model, plan, options, observation, steps);
  }

  /** @throws UserException when a step on a device cannot take so many sequences */
  static void requireSlots(int slots) {
    if (slots > StepState.MAX_BATCH) {
      throw new UserException(
          "batch size " + slots + " is above " + StepState.MAX_BATCH
              + ", the most sequences of a step on a device; lower --batch-size");
    }
  }

  /** @param steps most of a call */
  static CudaModelRunner create(
      DeviceModel model,
      SparsityPlan plan,
      RunnerOptions options,
      Observation observation,
      int steps) {
    requireSlots(options.slots());
    Allocations held = new Allocations(model.context());
    try {
      return new CudaModelRunner(model, plan, options, observation, steps, held);
    } catch (DeviceMemoryException e) {
      held.close();
      throw new UserException(
          e.getMessage() + "; lower --batch-size or --context, use --weights int8 or int4, or run"
              + " fewer tasks on the device",
          e);
    } catch (RuntimeException e) {
      held.close();
      throw e;
    }
  }

  static int stepsPerCall(long weightBytes) {
    return weightBytes > STEPWISE_BYTES ? 1 : MOST_STEPS;
  }

  @Override
  public String device() {
    CudaDevice device = model.device();
    return String.format(
        "%s (sm_%d%d), prefill by %s",
        device.name(), device.major(), device.minor(), prefill.gemmName());
  }

  @Override
  public int tokenCapacity() {
    return prefill.capacity();
  }

  /** Nothing for a model that runs several steps a call: so many sequences end in one. */
  @Override
  public double passOverhead(int tokens) {
    return steps > 1 ? 0 : PrefillPass.overhead(model.weightType(), tokens);
  }

  @Override
  public int stepsPerCall() {
    return steps;
  }

  @Override
  public boolean reserve(int slot, int positions) {
    return state.pages().reserve(slot, positions);
  }

  @Override
  public void release(int slot) {
    state.pages().release(slot);
  }

  @Override
  public int[] prefill(TokenBatch batch) {
    int wanted = batch.logitRows();
    if (batch.size() == 0) {
      return new int[0];
    }
    requireReserved(batch);
    calls.interrupted();
    state.pages().flush(state.stream);
    prefill.run(batch);
    logits = wanted > rows ? new float[Math.multiplyExact(wanted, config.vocabulary())] : null;
    logitRows = wanted;
    int[] sampled = new int[wanted];
    for (int from = 0; from < wanted; from += rows) {
      int count = Math.min(rows, wanted - from);
      sampleRows(batch, from, count, sampled);
      if (logits != null) {
        fetchLogits(count, logits, from);
      }
    }
    if (wanted == 0) {
      state.stream.synchronize();
    }
    return sampled;
  }

  /** Samples after the wanted rows [from, from + count), as a step's rows. */
  private void sampleRows(TokenBatch batch, int from, int count, int[] sampled) {
    prefill.gather(from, count, decode.x());
    decode.head(count);
    state.send(
        step -> {
          for (int row = 0; row < count; row++) {
            step.set(row, RunnerState.key(batch.random()[from + row]), 0, 0, 0, 0, 1);
          }
        });
    state.sample(count);
    System.arraycopy(state.awaitTokens(), 0, sampled, from, count);
  }

  private void requireReserved(TokenBatch batch) {
    for (int i = 0; i < batch.size(); i++) {
      requireReserved(batch.slots()[i], batch.positions()[i] + 1);
    }
  }

  private void requireReserved(int slot, int positions) {
    if (positions > state.pages().reserved(slot)) {
      throw new IllegalStateException(
          positions + " positions in slot " + slot + ", of which " + state.pages().reserved(slot)
              + " are reserved");
    }
  }

  @Override
  public List<DecodeStep> decode(List<DecodeSequence> sequences, SparsityCounters counters) {
    for (DecodeSequence s : sequences) {
      requireReserved(s.slot(), s.position() + Math.min(steps + 1, s.remaining()));
    }
    state.pages().flush(state.stream);
    logits = null;
    logitRows = sequences.size();
    DecodeCalls.Result result = scores == null ? calls.run(sequences) : observed(sequences);
    return outcomes.of(sequences.size(), result, counters);
  }

  private DecodeCalls.Result observed(List<DecodeSequence> sequences) {
    scores.begin(sequences);
    return calls.runObserved(sequences, call -> scores.show(call, sequences.size()));
  }

  @Override
  public float[] logits() {
    if (!greedy) {
      throw new IllegalStateException("sampling overwrites the logits; make a greedy runner");
    }
    if (calls.ahead()) {
      throw new IllegalStateException(
          "the step after runs already and overwrites the logits; decode with one token remaining");
    }
    if (logits == null) {
      logits = new float[logitRows * config.vocabulary()];
      fetchLogits(logitRows, logits, 0);
    }
    return logits;
  }

  /** Copies so many rows of the device's logits to rows of {@code to}. */
  private void fetchLogits(int rows, float[] to, int toRow) {
    int vocabulary = config.vocabulary();
    long rowBytes = (long) vocabulary * Float.BYTES;
    try (PinnedBuffer row = model.context().allocatePinned(rowBytes)) {
      for (int r = 0; r < rows; r++) {
        state.stream.download(row, 0, state.logits, r * rowBytes, rowBytes);
        state.stream.synchronize();
        row.bytes().asFloatBuffer().get(to, (toRow + r) * vocabulary, vocabulary);
      }
    }
  }

  @Override
  public void close() {
    try {
      if (calls.ahead() && model.usable()) {
        state.stream.synchronize();
      }
    } finally {
      held.close();
    }
  }
}
