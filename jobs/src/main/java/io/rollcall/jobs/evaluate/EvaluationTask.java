package io.rollcall.jobs.evaluate;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.evaluation.Evaluation;
import io.rollcall.engine.evaluation.Evaluator;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.generate.Failures;
import io.rollcall.jobs.generate.TaskFaults;
import io.rollcall.jobs.generate.TaskModel;
import io.rollcall.jobs.generate.TaskSetup;
import io.rollcall.jobs.runtime.Device;
import io.rollcall.jobs.runtime.RollcallPlugin;
import io.rollcall.jobs.runtime.TaskProgress;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.broadcast.Broadcast;

/** Evaluates a part of the documents with the model of its process. */
public final class EvaluationTask implements Function<EvaluationTask.Part, EvaluationTask.Outcome> {

  /**
   * What every task needs.
   *
   * @param runId that progress is reported for
   * @param profiles sparse ones
   * @param answers whether they answer the prompts themselves too
   */
  @DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
  public record Work(
      String runId, TaskSetup setup, List<SparsityProfile> profiles, boolean answers)
      implements Serializable {}

  /**
   * Documents of one task.
   *
   * @param first index of the first
   */
  @DefaultSerializer(JavaSerializer.class)
  public record Part(int first, List<Document> documents) implements Serializable {}

  /** @param device what the task computed on */
  @DefaultSerializer(JavaSerializer.class)
  public record Outcome(Evaluation evaluation, String device) implements Serializable {}

  private final Broadcast<Work> broadcast;

  private EvaluationTask(Broadcast<Work> broadcast) {
    this.broadcast = broadcast;
  }

  /** Evaluates documents, split evenly over tasks in their order. */
  public static List<Outcome> run(
      JavaSparkContext context,
      Work work,
      List<Document> documents,
      int partitions) {
    Broadcast<Work> sent = context.broadcast(work);
    try {
      JavaRDD<Outcome> outcomes =
          context
              .parallelize(parts(documents, partitions), partitions)
              .map(new EvaluationTask(sent));
      return Failures.explained(outcomes::collect);
    } finally {
      sent.destroy();
    }
  }

  /** What all of them measured. */
  public static Evaluation sum(List<Outcome> outcomes) {
    return outcomes.stream().map(Outcome::evaluation).reduce(Evaluation::plus).orElseThrow();
  }

  private static List<Part> parts(List<Document> documents, int partitions) {
    long n = documents.size();
    return IntStream.range(0, partitions)
        .mapToObj(
            p -> {
              int from = (int) (n * p / partitions);
              int to = (int) (n * (p + 1) / partitions);
              return new Part(from, new ArrayList<>(documents.subList(from, to)));
            })
        .toList();
  }

  @Override
  public Outcome call(Part part) {
    TaskContext task = TaskContext.get();
    return TaskFaults.rethrown(() -> evaluate(part, task, broadcast.value()));
  }

  /**
   * Without the crossover: past it a layer runs dense, which is faster and better, but where it lies
   * is measured on a machine, and what a profile costs should not depend on that.
   */
  private static Outcome evaluate(Part part, TaskContext task, Work work) {
    TaskModel model = work.setup().lease(task);
    List<SparsityPlan> plans =
        work.profiles().stream()
            .map(profile -> new SparsityPlan(profile, Crossover.never()))
            .toList();
    Evaluator evaluator =
        new Evaluator(
            model.model(),
            model.files(),
            model.template(),
            model.options(),
            model.workers(),
            new Reports(work.runId(), task, (work.answers() ? 2L : 1L) * (plans.size() + 1)));
    List<Document> rows = part.documents();
    List<Evaluator.Document> documents = new ArrayList<>();
    for (int i = 0; i < rows.size(); i++) {
      Document row = rows.get(i);
      documents.add(
          new Evaluator.Document(part.first() + i, row.id(), row.prompt(), row.reference()));
    }
    Evaluation evaluation =
        work.answers()
            ? evaluator.evaluate(plans, documents)
            : evaluator.references(plans, documents);
    return new Outcome(evaluation, Device.describe(model.place(), evaluator.device()));
  }

  /** Tells the driver every second how far the task is. */
  private static final class Reports implements Evaluator.Progress {
    private static final long REPORT_NANOS = 1_000_000_000L;

    private final String runId;
    private final TaskContext task;
    private final long passesPerDocument;
    private long reported = System.nanoTime();

    Reports(String runId, TaskContext task, long passesPerDocument) {
      this.runId = runId;
      this.task = task;
      this.passesPerDocument = passesPerDocument;
    }

    @Override
    public void report(long passes, long tokens) {
      task.killTaskIfInterrupted();
      if (System.nanoTime() - reported > REPORT_NANOS) {
        reported = System.nanoTime();
        RollcallPlugin.report(
            new TaskProgress(
                runId, task.partitionId(), passes / passesPerDocument, tokens, Double.NaN));
      }
    }
  }
}
