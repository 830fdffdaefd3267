package io.rollcall.jobs.demo;

import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.PhaseTimes;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.sparsity.SparsityPlan;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Dense beside sparse on the same prompts, one after the other in one process.
 *
 * @param same share of prompts whose generations are equal
 */
record Comparison(int prompts, PhaseTimes dense, PhaseTimes sparse, double same) {

  /** @param warmUp prompts at the front that run first, untimed */
  static Comparison run(
      Model model,
      SparsityPlan sparse,
      GenerationOptions options,
      int workers,
      List<Prompt> prompts,
      int warmUp) {
    SparsityPlan dense = SparsityPlan.dense(model.digest());
    for (SparsityPlan plan : List.of(dense, sparse)) {
      answer(model, plan, options, workers, prompts.subList(0, warmUp));
    }
    Answers denseAnswers = answer(model, dense, options, workers, prompts);
    Answers sparseAnswers = answer(model, sparse, options, workers, prompts);
    long same =
        denseAnswers.texts().entrySet().stream()
            .filter(entry -> entry.getValue().equals(sparseAnswers.texts().get(entry.getKey())))
            .count();
    return new Comparison(
        prompts.size(), denseAnswers.times(), sparseAnswers.times(), (double) same / prompts.size());
  }

  private record Answers(Map<String, String> texts, PhaseTimes times) {}

  private static Answers answer(
      Model model,
      SparsityPlan plan,
      GenerationOptions options,
      int workers,
      List<Prompt> prompts) {
    try (Generator generator =
        new Generator(model, plan, model.template(), options, workers, prompts.iterator())) {
      Map<String, String> texts = new HashMap<>();
      while (generator.hasNext()) {
        Generation generation = generator.next();
        texts.put(generation.id(), generation.output());
      }
      return new Answers(texts, generator.times());
    }
  }
}
