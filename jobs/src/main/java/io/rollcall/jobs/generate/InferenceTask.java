package io.rollcall.jobs.generate;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.PromptEncoder;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.text.PromptTemplate;
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
import org.apache.spark.util.TaskCompletionListener;

/** Answers the prompts of one partition with the model of its process. */
final class InferenceTask implements MapPartitionsFunction<Row, Row> {

  /**
   * What every task of a run needs.
   *
   * <p>The crossover is the device's own: each executor measures it.
   *
   * @param configuration Hadoop's, for a model on a remote file system
   * @param keptColumns how many input columns follow a generation's own
   */
  @DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
  record Work(
      Tables.Labels labels,
      ModelSource model,
      SparsityProfile profile,
      Decoding decoding,
      TemplateSource template,
      SerializableConfiguration configuration,
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
    Configuration configuration = work.configuration().value();
    return TaskFaults.rethrown(
        () -> {
          ModelRegistry.Lease lease = ModelRegistry.process().acquire(work.model(), task, configuration);
          LoadedModel model = lease.model();
          Decoding decoding = work.decoding();
          SparsityPlan plan =
              new SparsityPlan(
                  work.profile(),
                  lease.crossover(work.profile(), decoding.batchSize(), task.cpus()));
          GenerationOptions options = decoding.options(model.config());
          PromptTemplate template = work.template().of(model.model(), lease.files());
          PromptFeed feed =
              new PromptFeed(rows, new PromptEncoder(template, options), work.keptColumns(), task);
          GeneratorThread generator =
              new GeneratorThread(
                  feed,
                  AHEAD * decoding.batchSize(),
                  "rollcall generator of partition " + task.partitionId(),
                  task::killTaskIfInterrupted,
                  prompts -> new Generator(model, plan, options, task.cpus(), prompts));
          // ends before the lease does: listeners run in the order opposite to their adding
          task.addTaskCompletionListener((TaskCompletionListener) ended -> generator.close());
          DeviceUse device = DeviceUse.of(lease, generator.generator().device(), plan);
          return new TaskRows(work.labels(), feed, generator, device, task, totals);
        });
  }
}
