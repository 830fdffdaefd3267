package io.rollcall.jobs.recovery;

import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.jobs.generate.DenseAnswers;
import io.rollcall.jobs.generate.TaskFaults;
import io.rollcall.jobs.input.DocumentRows;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Row;

/**
 * The documents of a partition with what their decode steps are fed: their references, or the answers
 * that the dense model gives. As {id, prompt, answer}; those without any are left out.
 */
final class AnswersTask implements FlatMapFunction<Iterator<Row>, String[]> {
  private final Broadcast<RecoveryWork> work;

  AnswersTask(Broadcast<RecoveryWork> work) {
    this.work = work;
  }

  @Override
  public Iterator<String[]> call(Iterator<Row> rows) {
    RecoveryWork w = work.value();
    List<Document> documents =
        DocumentRows.read(rows, w.references(), w.decoding().seed()).stream()
            .filter(document -> !blank(document.prompt()))
            .toList();
    List<Document> answered =
        w.references()
            ? documents
            : TaskFaults.rethrown(() -> answered(documents, w, TaskContext.get()));
    return answered.stream()
        .filter(document -> !blank(document.reference()))
        .map(d -> new String[] {d.id(), d.prompt(), d.reference()})
        .iterator();
  }

  private static boolean blank(String text) {
    return text == null || text.isBlank();
  }

  private static List<Document> answered(
      List<Document> documents, RecoveryWork work, TaskContext task) {
    RecoveryWork.Leased lease = work.lease(task);
    var prompts = documents.stream().map(d -> new Prompt(d.id(), d.prompt())).iterator();
    Map<String, String> answers =
        DenseAnswers.of(lease.model(), lease.template(), lease.options(), prompts, task);
    List<Document> answered = new ArrayList<>();
    documents.forEach(d -> answered.add(new Document(d.id(), d.prompt(), answers.get(d.id()))));
    return answered;
  }
}
