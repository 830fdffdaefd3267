package io.rollcall.jobs.generate;

import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.sparsity.SparsityPlan;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.apache.spark.TaskContext;

/** What the dense model itself answers, where documents have no references. */
public final class DenseAnswers {
  private DenseAnswers() {}

  /** Documents with the model's answers for references; those that get none are left out. */
  public static List<Document> of(TaskModel model, List<Document> documents, TaskContext task) {
    Map<String, String> answers = new HashMap<>();
    SparsityPlan dense = SparsityPlan.dense(model.model().digest());
    Iterator<Prompt> prompts =
        documents.stream().map(d -> new Prompt(d.id(), d.prompt())).iterator();
    try (Generator generator =
        new Generator(
            model.model(), dense, model.template(), model.options(), model.workers(), prompts)) {
      while (generator.hasNext()) {
        task.killTaskIfInterrupted();
        Generation generation = generator.next();
        answers.put(generation.id(), generation.output());
      }
    }
    return documents.stream()
        .map(d -> new Document(d.id(), d.prompt(), answers.getOrDefault(d.id(), "")))
        .filter(d -> !d.reference().isBlank())
        .toList();
  }
}
