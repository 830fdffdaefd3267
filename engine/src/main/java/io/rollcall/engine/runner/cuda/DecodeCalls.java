package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.DecodeStep;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.kernels.cuda.CudaEvent;
import io.rollcall.kernels.cuda.PinnedBuffer;
import io.rollcall.kernels.cuda.StepState;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Launches decode steps and waits for them. Where a call is one step, the next one is launched before the
 * host has seen what this one sampled, so that the device need not wait for the host: it knows itself
 * which sequences go on and with what. A sequence that is admitted meanwhile joins in the step after, and
 * one that ends leaves its place empty for a step.
 */
final class DecodeCalls {
  private final RunnerState state;
  private final DecodeSteps decode;
  private final int mostSteps;
  private final Call[] calls;

  /** On the stream already, for the next call; null for none. */
  private Call ahead;

  /** Whether the state on the device is what the last step launched left there. */
  private boolean stateGoesOn;

  /** @param mostSteps of a call */
  DecodeCalls(RunnerState state, DecodeSteps decode, int mostSteps) {
    this.state = state;
    this.decode = decode;
    this.mostSteps = mostSteps;
    calls = new Call[] {new Call(), new Call()};
  }

  /**
   * What a call's steps left, in the order of its sequences.
   *
   * @param tokens [steps x MAX_BATCH] sampled; -1 where a sequence had ended or had not joined yet
   * @param records [steps x layers x RECORD_STRIDE] as step_state.cuh lays them out
   */
  record Result(int steps, int[] tokens, int[] records) {}

  /** Steps that are on the stream or have been. */
  private final class Call {
    final PinnedBuffer tokens =
        state.held.pinned((long) mostSteps * StepState.MAX_BATCH * Integer.BYTES);
    final PinnedBuffer records = state.held.pinned(decode.recordBytes(mostSteps));
    final CudaEvent done = state.held.keep(state.context.newEvent());

    /** As the first step finds them, row by row; null for one that had ended. */
    DecodeSequence[] rows;

    int steps;

    void launch() {
      decode.run(padded(), steps);
      fetch();
    }

    void fetch() {
      decode.fetchRecords(records, steps);
      state.fetchTokens(tokens, steps);
      done.record(state.stream);
    }

    int padded() {
      return BatchBuckets.padded(rows.length);
    }

    Result await(int[] rowOf) {
      done.synchronize();
      int[] sampled = ints(tokens, steps * StepState.MAX_BATCH);
      int[] recorded = ints(records, Math.toIntExact(decode.recordBytes(steps) / Integer.BYTES));
      return new Result(
          steps,
          inOrder(sampled, rowOf, StepState.MAX_BATCH, 0, DecodeStep.NONE),
          inOrder(recorded, rowOf, StepState.RECORD_STRIDE, 2, 0));
    }

    private int[] ints(PinnedBuffer from, int count) {
      int[] values = new int[count];
      from.bytes().asIntBuffer().get(values);
      return values;
    }
  }

  /** Entries of rows, which begin at {@code first} of every {@code stride}, in the order of sequences. */
  static int[] inOrder(int[] values, int[] rowOf, int stride, int first, int otherwise) {
    int[] ordered = values.clone();
    for (int at = first; at < values.length; at += stride) {
      for (int i = 0; i < rowOf.length; i++) {
        ordered[at + i] = rowOf[i] < 0 ? otherwise : values[at + rowOf[i]];
      }
    }
    return ordered;
  }

  /**
   * Row of each sequence, -1 for one that has not joined.
   *
   * @param rows null where a sequence has ended
   * @return null if this is not the sequences' next step: one of the rows is not among them, or none is
   *     left
   */
  static int[] rowsOf(DecodeSequence[] rows, List<DecodeSequence> sequences) {
    Map<DecodeSequence, Integer> places = new HashMap<>();
    for (int i = 0; i < sequences.size(); i++) {
      places.put(sequences.get(i), i);
    }
    int[] found = new int[sequences.size()];
    Arrays.fill(found, -1);
    int going = 0;
    for (int row = 0; row < rows.length; row++) {
      if (rows[row] != null) {
        Integer at = places.get(rows[row]);
        if (at == null) {
          return null;
        }
        found[at] = row;
        going++;
      }
    }
    return going == 0 ? null : found;
  }

  /** The rows after a step, with the token that each sequence got; null where one has ended. */
  static DecodeSequence[] after(
      int rows, List<DecodeSequence> sequences, int[] rowOf, int[] tokens, Set<Integer> endTokens) {
    DecodeSequence[] next = new DecodeSequence[rows];
    for (int i = 0; i < rowOf.length; i++) {
      DecodeSequence s = sequences.get(i);
      if (rowOf[i] >= 0 && s.remaining() > 1 && !endTokens.contains(tokens[i])) {
        next[rowOf[i]] =
            new DecodeSequence(
                s.slot(), tokens[i], s.position() + 1, s.random(), s.outputIndex() + 1,
                s.remaining() - 1);
      }
    }
    return next;
  }

  /** The next steps of the sequences. */
  Result run(List<DecodeSequence> sequences) {
    Call call = ahead;
    ahead = null;
    int[] rowOf = call == null ? null : rowsOf(call.rows, sequences);
    if (rowOf == null) {
      call = calls[0];
      begin(call, sequences);
      call.launch();
      rowOf = rowsOf(call.rows, sequences);
    }
    if (goesOn(call, sequences, rowOf)) {
      ahead = call == calls[0] ? calls[1] : calls[0];
      ahead.steps = 1;
      ahead.rows = call.rows;
      ahead.launch();
    }
    Result result = call.await(rowOf);
    if (ahead != null) {
      ahead.rows =
          after(
              call.rows.length, sequences, rowOf, result.tokens(), state.options.endTokens());
    }
    return result;
  }

  /** One step that is looked at. */
  Result runObserved(List<DecodeSequence> sequences, DecodeSteps.LayerHook hook) {
    Call call = calls[0];
    begin(call, sequences);
    decode.runObserved(call.padded(), hook);
    call.fetch();
    return call.await(rowsOf(call.rows, sequences));
  }

  /** Sends the sequences to the device. */
  private void begin(Call call, List<DecodeSequence> sequences) {
    int longest = sequences.stream().mapToInt(DecodeSequence::remaining).max().orElseThrow();
    call.rows = sequences.toArray(DecodeSequence[]::new);
    call.steps = Math.min(mostSteps, longest);
    state.send(
        step -> {
          for (int row = 0; row < call.rows.length; row++) {
            DecodeSequence s = call.rows[row];
            step.set(
                row, RunnerState.key(s.random()), s.token(), s.position(), s.slot(),
                s.outputIndex(), s.remaining());
          }
        });
    stateGoesOn = true;
  }

  /** Whether the step after can be launched as the device stands: all its sequences are in this one. */
  private boolean goesOn(Call call, List<DecodeSequence> sequences, int[] rowOf) {
    return mostSteps == 1
        && stateGoesOn
        && Arrays.stream(rowOf).allMatch(row -> row >= 0)
        && BatchBuckets.padded(sequences.size()) == call.padded()
        && sequences.stream().anyMatch(s -> s.remaining() > 1);
  }

  /** Whether a step beyond the last call is on the stream, or has run. */
  boolean ahead() {
    return ahead != null;
  }

  /** Says that others have used the device's state. */
  void interrupted() {
    stateGoesOn = false;
  }
}
