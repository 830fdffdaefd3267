package io.rollcall.jobs.generate;

import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.jobs.output.Tables;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.TemplateSource;
import java.io.Serializable;
import java.util.Iterator;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Row;
import org.apache.spark.util.SerializableConfiguration;

/** Answers the prompts of one partition with the model of its process. */
final class InferenceTask implements MapPartitionsFunction<Row, Row> {

  /**
   * What every task of a run needs.
   *
   * @param configuration Hadoop's, for a model on a remote file system
   * @param keptColumns how many input columns follow a generation's own
   */
  record Work(
      Tables.Labels labels,
      ModelSource model,
      SparsityPlan plan,
      Decoding decoding,
      TemplateSource template,
      SerializableConfiguration configuration,
      int keptColumns)
      implements Serializable {}

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
    Configuration configuration = work.configuration().value();
    ModelRegistry.Loaded loaded = ModelRegistry.process().model(work.model(), configuration);
    LoadedModel model = loaded.model();
    PromptFeed feed = new PromptFeed(rows, work.keptColumns(), task);
    Generator generator =
        new Generator(
            model,
            work.plan(),
            work.template().of(loaded),
            work.decoding().options(model.config()),
            task.cpus(),
            feed);
    TaskRows output = new TaskRows(work.labels(), feed, generator, task, totals);
    task.addTaskCompletionListener(
        (org.apache.spark.util.TaskCompletionListener) ended -> generator.close());
    return output;
  }
}
