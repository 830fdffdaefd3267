package io.rollcall.kernels;

import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;

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

  /**
   * How long a thread spins before it parks. A decode step hands over work every few tens of
   * microseconds, and waking a parked thread costs about as much.
   */
  private static final long SPIN_NANOS = 50_000;

  private final int workers;
  private final Worker[] helpers;
  private final AtomicBoolean busy = new AtomicBoolean();
  private volatile boolean closed;

  /** @param workers threads in all, the caller's included; at least 1 */
  public WorkerPool(int workers) {
    if (workers < 1) {
      throw new IllegalArgumentException("workers must be at least 1, not " + workers);
    }
    this.workers = workers;
    helpers = new Worker[workers - 1];
    for (int i = 0; i < helpers.length; i++) {
      helpers[i] = new Worker("rollcall-worker-" + (i + 1));
      helpers[i].start();
    }
  }

  public int workers() {
    return workers;
  }

  /**
   * Splits [0, n) into at most {@link #workers()} ranges whose bounds are multiples of {@code grain}
   * and runs them, one on the calling thread. Returns when all are done; what a range throws is
   * thrown here.
   *
   * @throws IllegalStateException when the pool is closed
   */
  public void forRange(int n, int grain, Range body) {
    if (grain < 1) {
      throw new IllegalArgumentException("grain must be at least 1, not " + grain);
    }
    if (closed) {
      throw new IllegalStateException("this WorkerPool is closed");
    }
    if (n <= 0) {
      return;
    }
    int grains = (n - 1) / grain + 1;
    int ranges = Math.min(workers, grains);
    // A call from inside a range, or beside another call, finds the helpers taken and goes alone.
    if (ranges == 1 || !busy.compareAndSet(false, true)) {
      body.run(0, n);
      return;
    }
    try {
      split(n, grain, grains, ranges, body);
    } finally {
      busy.set(false);
    }
  }

  private void split(int n, int grain, int grains, int ranges, Range body) {
    for (int i = 1; i < ranges; i++) {
      int to = (int) Math.min(n, (long) bound(i + 1, grains, ranges) * grain);
      helpers[i - 1].ask(body, bound(i, grains, ranges) * grain, to);
    }
    Throwable failure = null;
    try {
      body.run(0, bound(1, grains, ranges) * grain);
    } catch (Throwable thrown) {
      failure = thrown;
    }
    for (int i = 1; i < ranges; i++) {
      Throwable thrown = helpers[i - 1].await();
      if (failure == null) {
        failure = thrown;
      } else if (thrown != null && thrown != failure) {
        failure.addSuppressed(thrown);
      }
    }
    if (failure != null) {
      throw WorkerPool.<RuntimeException>asThrown(failure);
    }
  }

  private static int bound(int range, int grains, int ranges) {
    return (int) ((long) grains * range / ranges);
  }

  @SuppressWarnings("unchecked")
  private static <T extends Throwable> T asThrown(Throwable thrown) throws T {
    throw (T) thrown;
  }

  /** Ends the threads. Ranges that run finish first. */
  @Override
  public void close() {
    closed = true;
    for (Worker helper : helpers) {
      LockSupport.unpark(helper);
    }
  }

  /**
   * One helper thread with room for one request. A side that is about to park says so in a volatile
   * field and looks once more; the other side publishes first and reads that field after, so no
   * wake-up is lost.
   */
  private final class Worker extends Thread {
    private Range body;
    private int from;
    private int to;
    private Throwable failure;
    private volatile int asked;
    private volatile int done;
    private volatile boolean parked;
    private volatile Thread waiter;

    Worker(String name) {
      super(name);
      setDaemon(true);
    }

    void ask(Range body, int from, int to) {
      this.body = body;
      this.from = from;
      this.to = to;
      asked++;
      if (parked) {
        LockSupport.unpark(this);
      }
    }

    Throwable await() {
      long deadline = System.nanoTime() + SPIN_NANOS;
      while (done != asked) {
        if (System.nanoTime() < deadline) {
          Thread.onSpinWait();
          continue;
        }
        waiter = Thread.currentThread();
        if (done != asked) {
          LockSupport.park(WorkerPool.this);
        }
        waiter = null;
      }
      Throwable thrown = failure;
      failure = null;
      body = null;
      return thrown;
    }

    @Override
    public void run() {
      while (awaitRequest()) {
        try {
          body.run(from, to);
        } catch (Throwable thrown) {
          failure = thrown;
        }
        done = asked;
        Thread caller = waiter;
        if (caller != null) {
          LockSupport.unpark(caller);
        }
      }
    }

    private boolean awaitRequest() {
      long deadline = System.nanoTime() + SPIN_NANOS;
      while (asked == done) {
        if (closed) {
          return false;
        }
        if (System.nanoTime() < deadline) {
          Thread.onSpinWait();
          continue;
        }
        parked = true;
        if (asked == done && !closed) {
          LockSupport.park(WorkerPool.this);
        }
        parked = false;
      }
      return true;
    }
  }
}
