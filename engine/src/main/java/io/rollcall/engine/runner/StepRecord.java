package io.rollcall.engine.runner;

import io.rollcall.engine.statistics.SparsityCounters;

/** Gathers what one decode step called, layer by layer, for its sequences and the run's counters. */
public final class StepRecord {
  private final SparsityCounters counters;
  private final int active;
  private final long[] called;
  private long loaded;

  /**
   * @param sequences of the call
   * @param active of them, those that had not ended before the step
   */
  public StepRecord(SparsityCounters counters, int sequences, int active) {
    this.counters = counters;
    this.active = active;
    called = new long[sequences];
  }

  /**
   * @param calledRows [sequences] rows each called, from {@code offset}; 0 for an ended one
   * @param union rows of the union
   */
  public void layer(
      int layer, int[] calledRows, int offset, int union, boolean dense, long bytesRead) {
    long sum = 0;
    for (int b = 0; b < called.length; b++) {
      called[b] += calledRows[offset + b];
      sum += calledRows[offset + b];
    }
    loaded += union;
    counters.add(layer, active, sum, union, dense, bytesRead);
  }

  /** The step's outcome, with the tokens it sampled. */
  public DecodeStep finish(int[] tokens) {
    return new DecodeStep(tokens, called, loaded);
  }
}
