package io.rollcall.kernels.cuda;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The last things a stream was given since it was last known to be done, for the message of a fault:
 * the device says that a kernel went wrong, not which. Written by the stream's thread; read by whoever
 * sees the fault.
 */
final class Enqueued {
  private static final int KEPT = 64;

  /** A kernel and the shape it was launched with. */
  record Work(CudaKernel kernel, Launch launch) {
    @Override
    public String toString() {
      return kernel + " [" + launch + "]";
    }
  }

  private final Object[] what = new Object[KEPT];
  private final Launch[] shape = new Launch[KEPT];
  private long given;
  private long done;

  /** @param launch null for what is no kernel */
  synchronized void add(Object kernelOrGraph, Launch launch) {
    int at = (int) (given++ % KEPT);
    what[at] = kernelOrGraph;
    shape[at] = launch;
  }

  /** A mark for {@link #doneTo}: everything given so far. */
  synchronized long mark() {
    return given;
  }

  synchronized void doneTo(long mark) {
    done = Math.max(done, mark);
  }

  /** Empty if nothing is open. */
  synchronized String describe() {
    StringBuilder text = new StringBuilder();
    long first = Math.max(done, given - KEPT);
    if (first > done) {
      text.append(first - done).append(" launches, then ");
    }
    for (long i = first; i < given; i++) {
      int at = (int) (i % KEPT);
      text.append(i > first ? ", " : "").append(what[at]);
      if (shape[at] != null) {
        text.append(" [").append(shape[at]).append(']');
      }
    }
    return text.toString();
  }

  /** Each kernel and shape once, in order of its first launch, with how often. */
  static String summary(List<Work> works) {
    Map<Work, Integer> counts = new LinkedHashMap<>();
    works.forEach(work -> counts.merge(work, 1, Integer::sum));
    StringBuilder text = new StringBuilder();
    counts.forEach(
        (work, count) ->
            text.append(text.isEmpty() ? "" : ", ")
                .append(count > 1 ? count + " x " : "")
                .append(work));
    return text.toString();
  }
}
