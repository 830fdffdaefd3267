package io.rollcall.kernels;

/**
 * A fixed set of threads for one task's kernels: the calling thread and {@code workers - 1} daemon
 * threads, never more than the cores the task owns.
 */
public final class WorkerPool implements AutoCloseable {

  /** A share of a loop: elements [from, to). */
  @FunctionalInterface
  public interface Range {
    void run(int from, int to);
  }

  private final int workers;

  /** @param workers threads in all, the caller's included; at least 1 */
  public WorkerPool(int workers) {
    if (workers < 1) {
      throw new IllegalArgumentException("workers must be at least 1, not " + workers);
    }
    this.workers = workers;
  }

  public int workers() {
    return workers;
  }

  /**
   * Splits [0, n) into at most {@link #workers()} ranges whose bounds are multiples of {@code grain}
   * and runs them, one on the calling thread. Returns when all are done; what a range throws is
   * thrown here.
   */
  public void forRange(int n, int grain, Range body) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}
}
