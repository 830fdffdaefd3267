package io.rollcall.jobs.generate;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.calibration.ScoreDistributions;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.input.DocumentRows;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import scala.Tuple2;

/**
 * Sketches the scores at documents' decode positions, a partition a task, with the model, backend and
 * threads that a run's tasks have: the driver may have neither a device nor the memory for the model.
 * All thresholds come from here. Predictors' logits are sketched on the CPU, since a device does not show
 * them.
 */
public final class CalibrationJob {
  /** Partitions whose sketches are merged before the driver gets them. */
  private static final int MERGED = 16;

  private CalibrationJob() {}

  /**
   * What every task needs.
   *
   * @param runId that progress is reported for
   * @param setup its decoding's seed is the sketches' too
   * @param references whether the documents have some, which are then followed
   */
  @DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
  public record Work(
      String runId, TaskSetup setup, Calibrator.Target target, boolean references)
      implements Serializable {

    public Work {
      if (target.predictors() != null) {
        setup = setup.onCpu();
      }
    }
  }

  /**
   * What documents' scores are.
   *
   * @param documents how many, those without a decode position counted
   */
  @DefaultSerializer(JavaSerializer.class)
  public record Sketched(String modelDigest, int documents, ScoreDistributions scores)
      implements Serializable {

    static Sketched merged(List<Sketched> parts) {
      return new Sketched(
          parts.get(0).modelDigest,
          parts.stream().mapToInt(Sketched::documents).sum(),
          ScoreDistributions.merged(parts.stream().map(Sketched::scores).toList()));
    }
  }

  /**
   * Sketches documents. The same partitions give the same sketches.
   *
   * @param documents as {@link DocumentRows#text}
   */
  public static Sketched run(JavaSparkContext context, Work work, JavaRDD<String[]> documents) {
    Broadcast<Work> sent = context.broadcast(work);
    try {
      JavaRDD<Sketched> sketched =
          documents
              .mapPartitionsWithIndex(
                  (Integer partition, Iterator<String[]> rows) ->
                      List.of(new Tuple2<>(partition / MERGED, sketch(sent, rows))).iterator(),
                  true)
              .mapToPair(part -> part)
              .groupByKey()
              .values()
              .map(parts -> Sketched.merged(listed(parts)));
      return Sketched.merged(Failures.explained(sketched::collect));
    } finally {
      sent.destroy();
    }
  }

  /**
   * The profile with the same sparsity in all layers, from a few documents in one task.
   *
   * @param corpus what to call the sample in the profile
   */
  public static SparsityProfile sample(
      JavaSparkContext context,
      Work work,
      List<Document> sample,
      double sparsity,
      String corpus) {
    List<String[]> rows = sample.stream().map(DocumentRows::text).toList();
    Sketched sketched = run(context, work, context.parallelize(rows, 1));
    return Calibrator.profile(
        sketched.modelDigest(),
        work.target(),
        new double[] {sparsity},
        sketched.scores(),
        corpus,
        sample.size());
  }

  /**
   * Calibrates a run's thresholds on prompts that the model answers itself, as {@link #sample} does.
   *
   * @param prompts looked at if it comes to that
   * @param corpus what to call them in the profile
   */
  public static SparsityPlanner.Calibration onPrompts(
      JavaSparkContext context, TaskSetup setup, Supplier<List<String>> prompts, String corpus) {
    int batchSize = setup.decoding().batchSize();
    return (method, union, sparsity) -> {
      Calibrator.Target target = new Calibrator.Target(method, null, union, batchSize);
      String runId = UUID.randomUUID().toString();
      return sample(
          context,
          new Work(runId, setup, target, false),
          unanswered(prompts.get()),
          sparsity,
          corpus);
    };
  }

  private static List<Document> unanswered(List<String> prompts) {
    return IntStream.range(0, prompts.size())
        .mapToObj(i -> new Document(Integer.toString(i), prompts.get(i), null))
        .toList();
  }

  private static List<Sketched> listed(Iterable<Sketched> parts) {
    List<Sketched> list = new ArrayList<>();
    parts.forEach(list::add);
    return list;
  }

  private static Sketched sketch(Broadcast<Work> broadcast, Iterator<String[]> rows) {
    return TaskFaults.rethrown(() -> sketch(broadcast.value(), rows, TaskContext.get()));
  }

  private static Sketched sketch(Work work, Iterator<String[]> rows, TaskContext task) {
    TaskModel model = work.setup().lease(task);
    DocumentFeed feed = new DocumentFeed(rows, work.runId(), task);
    ScoreDistributions scores =
        Calibrator.scores(
            model.model(),
            work.target(),
            model.positions(),
            feed,
            work.references(),
            work.setup().decoding().seed());
    return new Sketched(model.model().digest(), feed.taken(), scores);
  }
}
