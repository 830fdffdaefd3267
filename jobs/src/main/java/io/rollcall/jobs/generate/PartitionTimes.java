package io.rollcall.jobs.generate;

import io.rollcall.engine.generation.PhaseTimes;
import java.io.Serializable;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;

/**
 * What one finished task of a run answered and how long its device was busy with it.
 *
 * @param host that it ran on
 */
public record PartitionTimes(
    int partition, String host, long rows, long promptTokens, long outputTokens, PhaseTimes times)
    implements Serializable {
  /** Enough to see a skew; a run may have many thousands of tasks. */
  private static final int KEPT = 20;

  private static final Comparator<PartitionTimes> SLOWEST =
      Comparator.comparingDouble(PartitionTimes::seconds)
          .reversed()
          .thenComparingInt(PartitionTimes::partition);

  /** Prefill and decode together. */
  public double seconds() {
    return (times.prefillNanos() + times.decodeNanos()) / 1e9;
  }

  /** The slowest of both, slowest first. */
  static List<PartitionTimes> slowest(List<PartitionTimes> a, List<PartitionTimes> b) {
    return Stream.concat(a.stream(), b.stream()).sorted(SLOWEST).limit(KEPT).toList();
  }
}
