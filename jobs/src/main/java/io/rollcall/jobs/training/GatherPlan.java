package io.rollcall.jobs.training;

import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.training.LayerSamples;

/**
 * How decode positions are gathered: by the input and the options alone, not by the cluster, so that a
 * training can be repeated.
 *
 * @param holdOut which partitions of the documents are not trained on
 * @param share most positions of a partition
 */
record GatherPlan(HeldOutPartitions holdOut, int share) {
  /** Positions of one task, where documents are many. */
  private static final int POSITIONS_PER_TASK = 1024;
  /** Most that it holds until it ends. */
  private static final long BYTES_PER_TASK = 256L << 20;
  /** Below, a task's batch is never full. */
  private static final int DOCUMENTS_PER_TASK = 16;
  /** Enough that some can be held out, if there are as many documents. */
  private static final int FEWEST_TASKS = 8;

  /**
   * @param positions wanted in all
   * @param rows of the input
   */
  static GatherPlan of(int positions, long rows, ModelConfig config) {
    int most = mostPositions(config);
    long byWork = Math.min(ceil(positions, POSITIONS_PER_TASK), rows / DOCUMENTS_PER_TASK);
    long byMemory = ceil(positions, most);
    int partitions = (int) Math.min(rows, Math.max(FEWEST_TASKS, Math.max(byWork, byMemory)));
    return new GatherPlan(
        new HeldOutPartitions(partitions), (int) Math.min(ceil(positions, partitions), most));
  }

  /** Positions that a task may hold. */
  private static int mostPositions(ModelConfig config) {
    long bytes =
        (long) config.layers() * LayerSamples.bytes(config.hiddenSize(), config.intermediateSize());
    return (int) Math.max(1, BYTES_PER_TASK / bytes);
  }

  private static long ceil(long a, long b) {
    return (a + b - 1) / b;
  }
}
