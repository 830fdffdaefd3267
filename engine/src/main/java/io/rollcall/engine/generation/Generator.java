package io.rollcall.engine.generation;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.runner.CpuModelRunner;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.StepRecord;
import io.rollcall.engine.runner.TokenBatch;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.statistics.LayerStatistics;
import io.rollcall.engine.statistics.SparsityCounters;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.engine.text.TextTokenizer;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;

/**
 * Answers a stream of prompts by continuous batching; generations come out in the order they end.
 * One generator belongs to one task; the model may be shared.
 *
 * <p>With union {@code own}, a prompt's generation depends on the prompt, its id and the options
 * alone. With {@code shared} and {@code budget} a sequence also computes with the rows its mates
 * called, so its text depends on who was in flight with it: the same prompts in the same order and
 * batch size give the same text, another partitioning may not.
 */
public final class Generator implements Iterator<Generation>, AutoCloseable {
  private final ModelConfig config;
  private final TextTokenizer tokenizer;
  private final GenerationOptions options;
  private final ModelRunner runner;
  private final Scheduler scheduler;
  private final Sampler sampler;
  private final SparsityCounters counters;
  private final StepRecord record;
  private final TokenBatch batch;
  private final long neurons;
  private final ArrayDeque<Generation> finished = new ArrayDeque<>();
  private volatile PhaseTimes times = PhaseTimes.NONE;

  /**
   * @param workers threads this generator may use, the caller's included
   * @throws UserException when the context is longer than the model's or the plan is another model's
   */
  public Generator(
      Model model,
      SparsityPlan plan,
      PromptTemplate template,
      GenerationOptions options,
      int workers,
      Iterator<Prompt> prompts) {
    this(
        model,
        template,
        options,
        prompts,
        new CpuModelRunner(
            model, requireModel(plan, model), options.batchSize(), options.context(), workers));
  }

  /** @param runner closed with the generator */
  public Generator(
      Model model,
      PromptTemplate template,
      GenerationOptions options,
      Iterator<Prompt> prompts,
      ModelRunner runner) {
    this.config = model.config();
    this.tokenizer = model.tokenizer();
    this.options = options;
    this.runner = runner;
    if (options.context() > config.context()) {
      throw new UserException(
          String.format(
              "context %d is longer than the %d positions of model '%s'",
              options.context(), config.context(), model.name()));
    }
    scheduler =
        new Scheduler(
            new PromptReader(prompts, template, options, finished::add), options.batchSize());
    sampler = new Sampler(options, config.vocabulary());
    counters =
        new SparsityCounters(config.layers(), options.batchSize(), CpuModelRunner.cost(model));
    record = new StepRecord(counters, options.batchSize());
    batch = new TokenBatch(runner.tokenCapacity());
    neurons = (long) config.layers() * config.intermediateSize();
  }

  private static SparsityPlan requireModel(SparsityPlan plan, Model model) {
    plan.profile().requireModel(model.digest(), model.name());
    int layers = model.config().layers();
    for (float[] bucket : plan.profile().thresholds()) {
      if (bucket.length != layers) {
        throw new UserException(
            String.format(
                "the profile has thresholds for %d layers and model '%s' has %d; calibrate it again",
                bucket.length, model.name(), layers));
      }
    }
    return plan;
  }

  @Override
  public boolean hasNext() {
    while (finished.isEmpty() && !scheduler.idle()) {
      step();
    }
    return !finished.isEmpty();
  }

  @Override
  public Generation next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    return finished.remove();
  }

  /** Statistics of all decode steps so far, by layer and batch size. */
  public List<LayerStatistics> statistics() {
    return counters.statistics();
  }

  /** Work and time so far. May be read from any thread. */
  public PhaseTimes times() {
    return times;
  }

  /** Mean union density of all decode steps and layers so far; NaN before the first. */
  public double meanUnionDensity() {
    return counters.meanUnionDensity();
  }

  /** What computes, for logs and run records. */
  public String device() {
    return runner.device();
  }

  /** Ends the worker threads and frees the cache. */
  @Override
  public void close() {
    runner.close();
  }

  private void step() {
    List<Sequence> admitted = scheduler.admit();
    if (!admitted.isEmpty()) {
      prefill(admitted);
    }
    if (!scheduler.running().isEmpty()) {
      decode(List.copyOf(scheduler.running()));
    }
  }

  /** Packs the prompts into passes; a prompt may go over a pass's end, its keys are in the cache. */
  private void prefill(List<Sequence> admitted) {
    long start = System.nanoTime();
    long tokens = 0;
    ArrayDeque<Sequence> ending = new ArrayDeque<>();
    batch.clear();
    for (Sequence sequence : admitted) {
      int[] prompt = sequence.prompt();
      for (int position = 0; position < prompt.length; position++) {
        if (batch.full()) {
          prefillPass(ending);
        }
        boolean last = position == prompt.length - 1;
        batch.add(prompt[position], position, sequence.slot(), last);
        if (last) {
          ending.add(sequence);
        }
      }
      tokens += prompt.length;
    }
    prefillPass(ending);
    times = times.plus(new PhaseTimes(tokens, System.nanoTime() - start, 0, 0));
  }

  private void prefillPass(ArrayDeque<Sequence> ending) {
    runner.prefill(batch);
    for (int row = 0; !ending.isEmpty(); row++) {
      extend(ending.remove(), row);
    }
    batch.clear();
  }

  private void decode(List<Sequence> sequences) {
    long start = System.nanoTime();
    batch.clear();
    for (Sequence sequence : sequences) {
      batch.add(sequence.lastToken(), sequence.lastPosition(), sequence.slot(), true);
    }
    runner.decode(batch, record);
    for (int row = 0; row < sequences.size(); row++) {
      sequences.get(row).count(record.called(row), record.loaded());
      extend(sequences.get(row), row);
    }
    times = times.plus(new PhaseTimes(0, 0, sequences.size(), System.nanoTime() - start));
  }

  /** Gives a sequence its next token from a row of the logits, and ends it where that ends it. */
  private void extend(Sequence sequence, int row) {
    int token =
        sampler.sample(
            runner.logits(), row * config.vocabulary(), sequence.random(), sequence.outputSize());
    sequence.append(token);
    if (config.endTokens().contains(token)) {
      finish(sequence, FinishReason.STOP);
    } else if (sequence.outputSize() == options.maxNewTokens()
        || sequence.lastPosition() + 1 >= options.context()) {
      finish(sequence, FinishReason.LENGTH);
    }
  }

  private void finish(Sequence sequence, FinishReason reason) {
    scheduler.release(sequence);
    int[] output = sequence.output();
    int text = reason == FinishReason.STOP ? output.length - 1 : output.length;
    finished.add(
        new Generation(
            sequence.id(),
            tokenizer.decode(Arrays.copyOf(output, text)),
            reason,
            null,
            sequence.prompt().length,
            output.length,
            sequence.ownDensity(neurons),
            sequence.unionDensity(neurons)));
  }
}
