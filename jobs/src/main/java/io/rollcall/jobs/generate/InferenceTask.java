package io.rollcall.jobs.generate;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.PromptEncoder;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.output.Tables;
import java.io.Serializable;
import java.util.Iterator;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Row;
import org.apache.spark.util.TaskCompletionListener;

/** Answers the prompts of one partition with the model of its process. */
final class InferenceTask implements MapPartitionsFunction<Row, Row> {

  /**
   * What every task of a run needs.
   *
   * @param crossover null to measure it
   * @param keptColumns how many input columns follow a generation's own
   */
  @DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
  record Work(
      Tables.Labels labels,
      TaskSetup setup,
      SparsityProfile profile,
      Crossover crossover,
      int keptColumns)
      implements Serializable {}

  /** Prompts and generations that may wait between the task's thread and the generator's, in batches. */
  private static final int AHEAD = 4;

  private final Broadcast<Work> broadcast;
  private final TotalsAccumulator totals;

  InferenceTask(Broadcast<Work> broadcast, TotalsAccumulator totals) {
    this.broadcast = broadcast;
    this.totals = totals;
  }

  @Override
  public Iterator<Row> call(Iterator<Row> rows) {
    TaskContext task = TaskContext.get();
    Work work = broadcast.value();
    return TaskFaults.rethrown(
        () -> {
          TaskModel model = work.setup().lease(task);
          SparsityPlan plan = model.plan(work.profile(), work.crossover());
          GenerationOptions options = model.options();
          PromptEncoder encoder = new PromptEncoder(model.template(), options);
          PromptFeed feed = new PromptFeed(rows, encoder, work.keptColumns(), task);
          GeneratorThread generator =
              new GeneratorThread(
                  feed,
                  AHEAD * options.batchSize(),
                  "rollcall generator of partition " + task.partitionId(),
                  task::killTaskIfInterrupted,
                  prompts -> new Generator(model.model(), plan, options, model.workers(), prompts));
          // ends before the lease does: listeners run in the order opposite to their adding
          task.addTaskCompletionListener((TaskCompletionListener) ended -> generator.close());
          DeviceUse device = DeviceUse.of(model.lease(), generator.generator().device(), plan);
          return new TaskRows(work.labels(), feed, generator, device, task, totals);
        });
  }
}
