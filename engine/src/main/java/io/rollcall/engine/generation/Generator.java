package io.rollcall.engine.generation;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.DecodeStep;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.RunnerOptions;
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
 * alone, but for rounding on a device. With {@code shared} and {@code budget} a sequence also
 * computes with the rows its mates called, so its text depends on who was in flight with it: the
 * same prompts in the same order, batch size and plan give the same text, another partitioning may
 * not.
 */
public final class Generator implements Iterator<Generation>, AutoCloseable {
  private final ModelConfig config;
  private final TextTokenizer tokenizer;
  private final GenerationOptions options;
  private final ModelRunner runner;
  private final PassGrouping grouping;
  private final Scheduler<Sequence> scheduler;
  private final SparsityCounters counters;
  private final TokenBatch batch;
  private final long neurons;
  private final ArrayDeque<Generation> finished = new ArrayDeque<>();
  private volatile PhaseTimes times = PhaseTimes.NONE;

  /**
   * @param workers threads this generator may use, the caller's included
   * @throws UserException when the context is longer than the model's or the plan is another model's
   */
  public Generator(
      LoadedModel model,
      SparsityPlan plan,
      PromptTemplate template,
      GenerationOptions options,
      int workers,
      Iterator<Prompt> prompts) {
    this(model, plan, options, workers, encoded(prompts, template, options));
  }

  /** The same of prompts that others have encoded, for these options and this model. */
  public Generator(
      LoadedModel model,
      SparsityPlan plan,
      GenerationOptions options,
      int workers,
      Iterator<EncodedPrompt> prompts) {
    this(
        model,
        options,
        prompts,
        model.runner(requireModel(plan, model), runnerOptions(model, options, workers)));
  }

  /** @param runner closed with the generator */
  public Generator(
      LoadedModel model,
      PromptTemplate template,
      GenerationOptions options,
      Iterator<Prompt> prompts,
      ModelRunner runner) {
    this(model, options, encoded(prompts, template, options), runner);
  }

  private Generator(
      LoadedModel model,
      GenerationOptions options,
      Iterator<EncodedPrompt> prompts,
      ModelRunner runner) {
    this.config = model.config();
    this.tokenizer = model.tokenizer();
    this.options = options;
    this.runner = runner;
    grouping = new PassGrouping(runner, options);
    scheduler =
        new Scheduler<>(
            new SequenceReader(prompts, options.seed(), finished::add),
            options.batchSize(),
            cache(),
            sequence -> grouping.slots(sequence.promptLength()));
    counters = new SparsityCounters(config.layers(), options.batchSize(), model.cost());
    batch = new TokenBatch(runner.tokenCapacity());
    neurons = (long) config.layers() * config.intermediateSize();
  }

  private static Iterator<EncodedPrompt> encoded(
      Iterator<Prompt> prompts, PromptTemplate template, GenerationOptions options) {
    PromptEncoder encoder = new PromptEncoder(template, options);
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return prompts.hasNext();
      }

      @Override
      public EncodedPrompt next() {
        return encoder.encode(prompts.next());
      }
    };
  }

  private Scheduler.Cache<Sequence> cache() {
    return new Scheduler.Cache<>() {
      @Override
      public boolean reserve(int slot, Sequence sequence) {
        return runner.reserve(slot, sequence.prompt().length + mostTokens(sequence));
      }

      @Override
      public void release(int slot) {
        runner.release(slot);
      }
    };
  }

  /** Tokens that a sequence's answer may have. */
  private int mostTokens(Sequence sequence) {
    return Math.min(options.maxNewTokens(), options.context() - sequence.prompt().length);
  }

  private static RunnerOptions runnerOptions(
      LoadedModel model, GenerationOptions options, int workers) {
    if (options.context() > model.config().context()) {
      throw new UserException(
          String.format(
              "context %d is longer than the %d positions of model '%s'",
              options.context(), model.config().context(), model.name()));
    }
    return new RunnerOptions(
        options.batchSize(),
        options.context(),
        options.sampling(),
        model.config().endTokens(),
        workers);
  }

  private static SparsityPlan requireModel(SparsityPlan plan, LoadedModel model) {
    plan.profile().requireModel(model.digest(), model.name());
    plan.profile().requireShape(model.config(), model.name());
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
        if (position < prompt.length - 1) {
          batch.add(prompt[position], position, sequence.slot());
        } else {
          batch.addLast(prompt[position], position, sequence.slot(), sequence.random());
          ending.add(sequence);
        }
      }
      tokens += prompt.length;
    }
    prefillPass(ending);
    times = times.plus(new PhaseTimes(tokens, System.nanoTime() - start, 0, 0));
  }

  private void prefillPass(ArrayDeque<Sequence> ending) {
    for (int token : runner.prefill(batch)) {
      extend(ending.remove(), token);
    }
    batch.clear();
  }

  private void decode(List<Sequence> sequences) {
    long start = System.nanoTime();
    List<DecodeSequence> inputs = sequences.stream().map(this::input).toList();
    long tokens = 0;
    for (DecodeStep step : runner.decode(inputs, counters)) {
      for (int b = 0; b < sequences.size(); b++) {
        if (step.tokens()[b] != DecodeStep.NONE) {
          sequences.get(b).count(step.called()[b], step.loaded());
          extend(sequences.get(b), step.tokens()[b]);
          tokens++;
        }
      }
    }
    times = times.plus(new PhaseTimes(0, 0, tokens, System.nanoTime() - start));
  }

  private DecodeSequence input(Sequence sequence) {
    return new DecodeSequence(
        sequence.slot(),
        sequence.lastToken(),
        sequence.lastPosition(),
        sequence.random(),
        sequence.outputSize(),
        mostTokens(sequence) - sequence.outputSize());
  }

  /** Gives a sequence its next token, and ends it where that ends it. */
  private void extend(Sequence sequence, int token) {
    sequence.append(token);
    if (config.endTokens().contains(token)) {
      finish(sequence, FinishReason.STOP);
    } else if (sequence.outputSize() == mostTokens(sequence)) {
      finish(sequence, FinishReason.LENGTH);
    }
  }

  private void finish(Sequence sequence, FinishReason reason) {
    scheduler.release(sequence);
    grouping.answered(sequence.outputSize());
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
