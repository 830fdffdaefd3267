package io.rollcall.engine.runner;

import io.rollcall.engine.statistics.SparsityCounters;
import java.util.Arrays;

/** What one decode step called, for its sequences and for the counters of the run. */
public final class StepRecord {
  private final SparsityCounters counters;
  private final long[] called;
  private long loaded;
  private int batch;

  public StepRecord(SparsityCounters counters, int batchSize) {
    this.counters = counters;
    this.called = new long[batchSize];
  }

  void begin(int batch) {
    this.batch = batch;
    loaded = 0;
    Arrays.fill(called, 0, batch, 0);
  }

  /**
   * @param calledRows [batch] rows each sequence called
   * @param union rows of the union
   */
  void layer(int layer, int[] calledRows, int union, boolean dense, long bytesRead) {
    long sum = 0;
    for (int b = 0; b < batch; b++) {
      called[b] += calledRows[b];
      sum += calledRows[b];
    }
    loaded += union;
    counters.add(layer, batch, sum, union, dense, bytesRead);
  }

  /** Neurons that the step's b-th sequence called, over all layers. */
  public long called(int b) {
    return called[b];
  }

  /** Rows of the unions, over all layers. */
  public long loaded() {
    return loaded;
  }
}
