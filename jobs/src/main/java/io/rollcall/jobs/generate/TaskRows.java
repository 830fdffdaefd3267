package io.rollcall.jobs.generate;

import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.statistics.LayerStatistics;
import io.rollcall.jobs.output.Tables;
import io.rollcall.jobs.runtime.RollcallPlugin;
import io.rollcall.jobs.runtime.TaskProgress;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskContext;
import org.apache.spark.sql.Row;

/** A task's rows for the sink: generations as they end, then the statistics of all its steps. */
final class TaskRows implements Iterator<Row> {
  private static final long REPORT_NANOS = 1_000_000_000L;

  private final Tables.Labels labels;
  private final PromptFeed feed;
  private final GeneratorThread generations;
  private final DeviceUse device;
  private final TaskContext task;
  private final TotalsAccumulator accumulator;
  private RunTotals totals = RunTotals.NONE;
  private Generation next;
  private Iterator<LayerStatistics> statistics;
  private long reported = System.nanoTime();

  TaskRows(
      Tables.Labels labels,
      PromptFeed feed,
      GeneratorThread generations,
      DeviceUse device,
      TaskContext task,
      TotalsAccumulator accumulator) {
    this.labels = labels;
    this.feed = feed;
    this.generations = generations;
    this.device = device;
    this.task = task;
    this.accumulator = accumulator;
  }

  @Override
  public boolean hasNext() {
    if (next == null && statistics == null) {
      next = TaskFaults.rethrown(this::nextGeneration);
      if (next == null) {
        finish();
      }
    }
    return next != null || statistics.hasNext();
  }

  @Override
  public Row next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    if (next == null) {
      return Tables.sparsity(statistics.next(), labels, task.partitionId());
    }
    Generation generation = next;
    next = null;
    totals = totals.plus(generation);
    if (System.nanoTime() - reported > REPORT_NANOS) {
      report();
    }
    return Tables.generation(generation, labels, feed.takeKept(generation.id()));
  }

  /** Null when there are none left. */
  private Generation nextGeneration() {
    task.killTaskIfInterrupted();
    Generation next = feed.rejected();
    if (next == null) {
      next = generations.next();
    }
    // The last prompts that were read may all have been ruled out.
    return next == null ? feed.rejected() : next;
  }

  private void finish() {
    Generator generator = generations.generator();
    List<LayerStatistics> all = generator.statistics();
    totals = totals.plus(generator.times(), all, device, task.partitionId(), host());
    accumulator.add(totals);
    report();
    generations.close();
    statistics = all.iterator();
  }

  private static String host() {
    return SparkEnv.get().blockManager().blockManagerId().host();
  }

  private void report() {
    reported = System.nanoTime();
    Generator generator = generations.generator();
    RollcallPlugin.report(
        new TaskProgress(
            labels.runId(),
            task.partitionId(),
            totals.rows(),
            generator.times().prefillTokens() + generator.times().decodeTokens(),
            generator.meanUnionDensity()));
  }
}
