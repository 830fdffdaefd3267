package io.rollcall.engine.evaluation;

import io.rollcall.engine.UserException;
import io.rollcall.engine.generation.Scheduler;
import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.engine.runner.TokenBatch;
import io.rollcall.engine.sampling.RandomStream;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.statistics.LayerStatistics;
import io.rollcall.engine.statistics.SparsityCounters;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Decodes documents' references in real batches: slots are filled as in generation, and each step is
 * fed the reference's token, whatever the runner would have sampled. Several runners of one model, each
 * by a plan of its own, go through the same steps side by side, so that what they say of a position can
 * be compared without keeping it.
 *
 * <p>Decode positions of a document with prompt p and reference r are those that predict r: the last
 * token of p, then every token of r but its last (the end token). So there are as many as r has tokens,
 * the first one sparse like the others. In generation the first token is prefill's, and dense.
 *
 * <p>Every sequence is given to a runner as one that may take a single token more. A device then runs
 * one step a call, however many it could, and takes the next token from the host; tokens that it
 * samples are dropped.
 */
public final class TeacherForcedRunner implements AutoCloseable {
  private final List<ModelRunner> runners;
  private final List<SparsityCounters> counters;
  private final int slots;
  private final int context;
  private final int vocabulary;
  private final TokenBatch batch;

  /** A document on its way through the steps. */
  private static final class Place implements Scheduler.Scheduled {
    final ReferencedDocument document;
    /** Tells an observer whose scores it sees; nothing is sampled. */
    final RandomStream stream;
    int slot;
    /** Reference tokens that were predicted. */
    int done;

    Place(ReferencedDocument document) {
      this.document = document;
      stream = new RandomStream(document.index(), document.id());
    }

    @Override
    public int promptLength() {
      return document.prompt().length;
    }

    @Override
    public int slot() {
      return slot;
    }

    @Override
    public void occupy(int slot) {
      this.slot = slot;
    }

    DecodeSequence input() {
      int[] prompt = document.prompt();
      int token = done == 0 ? prompt[prompt.length - 1] : document.reference()[done - 1];
      return new DecodeSequence(slot, token, prompt.length - 1 + done, stream, done, 1);
    }
  }

  /**
   * @param slots most documents in a step, the same as the runners'
   * @param context the runners'
   * @param runners greedy ones, closed with this
   */
  public TeacherForcedRunner(
      LoadedModel model, int slots, int context, List<? extends ModelRunner> runners) {
    this.runners = List.copyOf(runners);
    this.slots = slots;
    this.context = context;
    int layers = model.config().layers();
    counters =
        runners.stream().map(r -> new SparsityCounters(layers, slots, model.cost())).toList();
    vocabulary = model.config().vocabulary();
    batch = new TokenBatch(runners.stream().mapToInt(ModelRunner::tokenCapacity).min().orElseThrow());
  }

  /**
   * A runner for each plan.
   *
   * @param workers threads of each; they take turns
   * @throws UserException when a plan is another model's, or the caches do not fit
   */
  public static TeacherForcedRunner of(
      LoadedModel model, List<SparsityPlan> plans, int slots, int context, int workers) {
    List<ModelRunner> runners = new ArrayList<>();
    try {
      for (SparsityPlan plan : plans) {
        plan.profile().requireFits(model.model());
        runners.add(model.runner(plan, RunnerOptions.greedy(slots, context, workers)));
      }
      return new TeacherForcedRunner(model, slots, context, runners);
    } catch (RuntimeException e) {
      runners.forEach(ModelRunner::close);
      throw e;
    }
  }

  /**
   * Runs all documents. The same documents in the same order take the same steps, whatever the plans.
   *
   * @throws UserException when a document is longer than the context
   */
  public void run(Iterator<ReferencedDocument> documents, PositionListener listener) {
    Scheduler<Place> scheduler = new Scheduler<>(places(documents), slots, cache(), place -> 1);
    while (!scheduler.idle()) {
      prefill(scheduler.admit());
      List<Place> running = List.copyOf(scheduler.running());
      decode(running, listener);
      for (Place place : running) {
        if (++place.done == place.document.reference().length) {
          scheduler.release(place);
        }
      }
    }
  }

  /** What the steps of one of the runners called and loaded so far. */
  public List<LayerStatistics> statistics(int runner) {
    return counters.get(runner).statistics();
  }

  /** What computes, for logs and records. */
  public String device() {
    return runners.get(0).device();
  }

  @Override
  public void close() {
    runners.forEach(ModelRunner::close);
  }

  private Iterator<Place> places(Iterator<ReferencedDocument> documents) {
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        return documents.hasNext();
      }

      @Override
      public Place next() {
        ReferencedDocument document = documents.next();
        if (document.positions() > context) {
          throw new UserException(
              String.format(
                  "document '%s' has %d tokens with its reference and the context %d; leave it out",
                  document.id(), document.positions(), context));
        }
        return new Place(document);
      }
    };
  }

  private Scheduler.Cache<Place> cache() {
    return new Scheduler.Cache<>() {
      @Override
      public boolean reserve(int slot, Place place) {
        for (int r = 0; r < runners.size(); r++) {
          if (!runners.get(r).reserve(slot, place.document.positions())) {
            runners.subList(0, r).forEach(runner -> runner.release(slot));
            return false;
          }
        }
        return true;
      }

      @Override
      public void release(int slot) {
        runners.forEach(runner -> runner.release(slot));
      }
    };
  }

  /** All of the prompts but their last tokens, which are decoded. */
  private void prefill(List<Place> admitted) {
    prefill(runners.get(0), admitted);
    for (ModelRunner runner : runners.subList(1, runners.size())) {
      prefill(
          runner,
          admitted.stream()
              .filter(p -> !runner.adopt(runners.get(0), p.slot, p.promptLength() - 1))
              .toList());
    }
  }

  private void prefill(ModelRunner runner, List<Place> places) {
    batch.clear();
    for (Place place : places) {
      int[] prompt = place.document.prompt();
      for (int position = 0; position < prompt.length - 1; position++) {
        if (batch.full()) {
          runner.prefill(batch);
          batch.clear();
        }
        batch.add(prompt[position], position, place.slot);
      }
    }
    if (batch.size() > 0) {
      runner.prefill(batch);
    }
  }

  private void decode(List<Place> running, PositionListener listener) {
    List<DecodeSequence> inputs = running.stream().map(Place::input).toList();
    float[][] logits = new float[runners.size()][];
    IntStream.range(0, logits.length)
        .forEach(
            r -> {
              runners.get(r).decode(inputs, counters.get(r));
              logits[r] = runners.get(r).logits();
            });
    for (int row = 0; row < running.size(); row++) {
      Place place = running.get(row);
      listener.position(
          place.document,
          place.done,
          place.document.reference()[place.done],
          running.size(),
          logits,
          row * vocabulary);
    }
  }
}
