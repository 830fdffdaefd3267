package io.rollcall.jobs.generate;

import org.apache.spark.util.AccumulatorV2;

/**
 * Sums {@link RunTotals}. A task adds once, when its rows are all out; as the run's stage is the
 * job's last, Spark counts each partition once however often it ran.
 */
final class TotalsAccumulator extends AccumulatorV2<RunTotals, RunTotals> {
  private volatile RunTotals sum = RunTotals.NONE;

  @Override
  public boolean isZero() {
    return sum == RunTotals.NONE;
  }

  @Override
  public AccumulatorV2<RunTotals, RunTotals> copy() {
    TotalsAccumulator copy = new TotalsAccumulator();
    copy.sum = sum;
    return copy;
  }

  @Override
  public void reset() {
    sum = RunTotals.NONE;
  }

  @Override
  public void add(RunTotals totals) {
    sum = sum.plus(totals);
  }

  @Override
  public void merge(AccumulatorV2<RunTotals, RunTotals> other) {
    sum = sum.plus(other.value());
  }

  @Override
  public RunTotals value() {
    return sum;
  }
}
