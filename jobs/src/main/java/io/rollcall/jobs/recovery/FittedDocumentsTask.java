package io.rollcall.jobs.recovery;

import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.jobs.generate.DenseAnswers;
import io.rollcall.jobs.generate.TaskFaults;
import io.rollcall.jobs.generate.TaskSetup;
import io.rollcall.jobs.input.DocumentRows;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Row;

/**
 * The documents of a partition with what their decode steps are fed: their references, or the answers
 * that the dense model gives. As {@link DocumentRows#text}; those without any are left out.
 */
final class FittedDocumentsTask implements FlatMapFunction<Iterator<Row>, String[]> {
  private final Broadcast<TaskSetup> setup;
  private final boolean references;

  /** @param references whether the documents have some */
  FittedDocumentsTask(Broadcast<TaskSetup> setup, boolean references) {
    this.setup = setup;
    this.references = references;
  }

  @Override
  public Iterator<String[]> call(Iterator<Row> rows) {
    TaskContext task = TaskContext.get();
    List<Document> documents =
        DocumentRows.read(rows, references, setup.value().decoding().seed()).stream()
            .filter(document -> !blank(document.prompt()))
            .toList();
    List<Document> answered =
        references
            ? documents
            : TaskFaults.rethrown(
                () -> DenseAnswers.of(setup.value().lease(task), documents, task));
    return answered.stream()
        .filter(document -> !blank(document.reference()))
        .map(DocumentRows::text)
        .iterator();
  }

  private static boolean blank(String text) {
    return text == null || text.isBlank();
  }
}
