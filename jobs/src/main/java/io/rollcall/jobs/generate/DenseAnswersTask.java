package io.rollcall.jobs.generate;

import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.jobs.input.DocumentRows;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.broadcast.Broadcast;

/** Lets the model answer documents itself, dense; as {@link DocumentRows#text}. */
public final class DenseAnswersTask implements FlatMapFunction<Iterator<String[]>, String[]> {
  private final Broadcast<TaskSetup> broadcast;

  private DenseAnswersTask(Broadcast<TaskSetup> broadcast) {
    this.broadcast = broadcast;
  }

  /** Documents with the model's answers for references; those that get none are left out. */
  public static List<Document> run(
      JavaSparkContext context,
      TaskSetup setup,
      List<Document> documents,
      int partitions) {
    Broadcast<TaskSetup> sent = context.broadcast(setup);
    try {
      JavaRDD<String[]> answered =
          context
              .parallelize(
                  documents.stream().map(DocumentRows::text).toList(), partitions)
              .mapPartitions(new DenseAnswersTask(sent));
      return Failures.explained(answered::collect).stream().map(DocumentRows::document).toList();
    } finally {
      sent.destroy();
    }
  }

  @Override
  public Iterator<String[]> call(Iterator<String[]> rows) {
    TaskContext task = TaskContext.get();
    List<Document> documents = new ArrayList<>();
    rows.forEachRemaining(row -> documents.add(DocumentRows.document(row)));
    return TaskFaults.rethrown(
        () ->
            DenseAnswers.of(broadcast.value().lease(task), documents, task).stream()
                .map(DocumentRows::text)
                .iterator());
  }
}
