package io.rollcall.jobs.generate;

import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.text.PromptTemplate;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Map;
import org.apache.spark.TaskContext;

/** What the dense model itself answers, where documents have no references. */
public final class DenseAnswers {
  private DenseAnswers() {}

  /** By id; empty for a prompt that could not be answered. */
  public static Map<String, String> of(
      LoadedModel model,
      PromptTemplate template,
      GenerationOptions options,
      Iterator<Prompt> prompts,
      TaskContext task) {
    Map<String, String> answers = new HashMap<>();
    SparsityPlan dense = SparsityPlan.dense(model.digest());
    try (Generator generator =
        new Generator(model, dense, template, options, task.cpus(), prompts)) {
      while (generator.hasNext()) {
        task.killTaskIfInterrupted();
        Generation generation = generator.next();
        answers.put(generation.id(), generation.output());
      }
    }
    return answers;
  }
}
