package io.rollcall.jobs.calibrate;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.generate.DenseAnswers;
import io.rollcall.jobs.generate.Failures;
import io.rollcall.jobs.generate.TaskFaults;
import io.rollcall.jobs.input.PromptTable;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.TemplateSource;
import java.io.Serializable;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.util.SerializableConfiguration;

/** Lets the model answer documents itself, dense: {id, prompt} to {id, prompt, answer}. */
final class AnswerTask implements FlatMapFunction<Iterator<String[]>, String[]> {

  /** What every task needs. */
  @DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
  record Work(
      ModelSource model,
      Decoding decoding,
      TemplateSource template,
      SerializableConfiguration configuration)
      implements Serializable {}

  private final Broadcast<Work> broadcast;

  private AnswerTask(Broadcast<Work> broadcast) {
    this.broadcast = broadcast;
  }

  /** Documents with the model's answers for references; those that get none are left out. */
  static List<PromptTable.Referenced> run(
      JavaSparkContext context,
      Work work,
      List<PromptTable.Referenced> documents,
      int partitions) {
    Broadcast<Work> sent = context.broadcast(work);
    try {
      JavaRDD<String[]> answered =
          context
              .parallelize(
                  documents.stream().map(d -> new String[] {d.id(), d.prompt()}).toList(),
                  partitions)
              .mapPartitions(new AnswerTask(sent));
      return Failures.explained(answered::collect).stream()
          .map(row -> new PromptTable.Referenced(row[0], row[1], row[2]))
          .toList();
    } finally {
      sent.destroy();
    }
  }

  @Override
  public Iterator<String[]> call(Iterator<String[]> rows) {
    return TaskFaults.rethrown(() -> answers(rows, broadcast.value(), TaskContext.get()));
  }

  private static Iterator<String[]> answers(
      Iterator<String[]> rows, Work work, TaskContext task) {
    ModelRegistry.Lease lease =
        ModelRegistry.process().acquire(work.model(), task, work.configuration().value());
    LoadedModel model = lease.model();
    Map<String, String> prompts = new LinkedHashMap<>();
    rows.forEachRemaining(row -> prompts.put(row[0], row[1]));
    Stream<Prompt> asked =
        prompts.entrySet().stream().map(row -> new Prompt(row.getKey(), row.getValue()));
    Map<String, String> answers =
        DenseAnswers.of(
            model,
            work.template().of(model.model(), lease.files()),
            work.decoding().options(model.config()),
            asked.iterator(),
            task);
    return prompts.entrySet().stream()
        .filter(row -> !answers.get(row.getKey()).isBlank())
        .map(row -> new String[] {row.getKey(), row.getValue(), answers.get(row.getKey())})
        .iterator();
  }
}
