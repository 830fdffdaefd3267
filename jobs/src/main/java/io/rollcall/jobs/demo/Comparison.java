package io.rollcall.jobs.demo;

import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.PhaseTimes;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.statistics.LayerStatistics;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Dense beside sparse on the same prompts, taking turns in one process so that neither has the warmer
 * compiler or the quieter machine.
 *
 * @param dense sums over the rounds
 * @param sparse likewise
 * @param same share of prompts whose generations are equal
 * @param read bytes that the sparse steps read to what dense reads, those past the crossover included
 */
record Comparison(
    int prompts, PhaseTimes dense, PhaseTimes sparse, double same, double read) {
  private static final int ROUNDS = 3;

  static Comparison run(
      LoadedModel model,
      SparsityPlan sparse,
      GenerationOptions options,
      int workers,
      List<Prompt> prompts) {
    SparsityPlan dense = SparsityPlan.dense(model.digest());
    // the first answers are for the texts; they warm up what the rounds time
    Answers denseAnswers = answer(model, dense, options, workers, prompts);
    Answers sparseAnswers = answer(model, sparse, options, workers, prompts);
    PhaseTimes denseTimes = PhaseTimes.NONE;
    PhaseTimes sparseTimes = PhaseTimes.NONE;
    for (int round = 0; round < ROUNDS; round++) {
      denseTimes = denseTimes.plus(answer(model, dense, options, workers, prompts).times());
      sparseTimes = sparseTimes.plus(answer(model, sparse, options, workers, prompts).times());
    }
    long same =
        denseAnswers.texts().entrySet().stream()
            .filter(entry -> entry.getValue().equals(sparseAnswers.texts().get(entry.getKey())))
            .count();
    return new Comparison(
        prompts.size(),
        denseTimes,
        sparseTimes,
        (double) same / prompts.size(),
        sparseAnswers.read());
  }

  private record Answers(Map<String, String> texts, PhaseTimes times, double read) {}

  private static Answers answer(
      LoadedModel model,
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
      return new Answers(texts, generator.times(), read(generator.statistics()));
    }
  }

  private static double read(List<LayerStatistics> statistics) {
    long read = statistics.stream().mapToLong(LayerStatistics::bytesRead).sum();
    long dense = statistics.stream().mapToLong(LayerStatistics::bytesDense).sum();
    return dense == 0 ? 1 : (double) read / dense;
  }
}
