package io.rollcall.engine.bench;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.ScoreSketches;
import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.engine.runner.TokenBatch;
import io.rollcall.engine.sampling.RandomStream;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.statistics.LayerStatistics;
import io.rollcall.engine.statistics.SparsityCounters;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;

/**
 * Prefill and decode speed of the engine alone, without Spark. Every sequence reads tokens drawn
 * uniformly, prompt and answer, so that a configuration does the same work in every run whatever the
 * model would say; thresholds are calibrated on such tokens too. Speeds are of the median step.
 */
public final class Benchmark {
  private static final long WARM_UP_NANOS = 700_000_000;
  private static final long TIMED_NANOS = 1_500_000_000;
  private static final int LEAST_STEPS = 16;
  private static final int CALIBRATION_STEPS = 48;
  private static final int PREFILL_ROUNDS = 3;
  private static final RandomStream RANDOM = new RandomStream(7, "benchmark");

  private final LoadedModel model;
  private final BenchmarkOptions options;
  private final int workers;
  private final Random random = new Random(7);

  /** @throws UserException when the model's context has no room for the benchmark's */
  public Benchmark(LoadedModel model, BenchmarkOptions options, int workers) {
    this.model = model;
    this.options = options;
    this.workers = workers;
    if (capacity() > model.config().context()) {
      throw new UserException(
          String.format(
              "context %d and %d decode steps do not fit the %d positions of model '%s'; lower"
                  + " --context",
              options.context(), CALIBRATION_STEPS, model.config().context(), model.name()));
    }
  }

  /**
   * @param results receives each configuration's result as it is measured
   * @return how many there were
   */
  public int run(Consumer<BenchmarkResult> results) {
    int measured = 0;
    // the compiler's first seconds would count against the first configuration
    measure(SparsityPlan.dense(model.digest()), 0, options.batchSizes().get(0));
    for (int batch : options.batchSizes()) {
      for (Method method : options.methods()) {
        if (!method.sparse()) {
          results.accept(measure(SparsityPlan.dense(model.digest()), 0, batch));
          measured++;
          continue;
        }
        Crossover crossover = null;
        for (UnionStrategy union : options.unions()) {
          for (double sparsity : options.sparsities()) {
            SparsityProfile profile = calibrate(method, union, sparsity, batch);
            if (crossover == null) {
              crossover = model.crossover(profile, batch, workers);
            }
            results.accept(measure(new SparsityPlan(profile, crossover), sparsity, batch));
            measured++;
          }
        }
      }
    }
    return measured;
  }

  private SparsityProfile calibrate(
      Method method, UnionStrategy union, double sparsity, int batch) {
    var config = model.config();
    var sketches =
        new ScoreSketches(union, batch, config.layers(), config.intermediateSize());
    try (var runner = model.observed(method, sketches, options(batch))) {
      reserve(runner, batch);
      prefill(runner, batch);
      for (int step = 0; step < Math.max(4, CALIBRATION_STEPS / batch); step++) {
        decode(runner, counters(batch), batch, options.context() + step);
      }
    }
    return new SparsityProfile(
        model.digest(),
        method,
        union,
        new double[] {sparsity},
        sketches.distributions().thresholds(sparsity),
        null);
  }

  private BenchmarkResult measure(SparsityPlan plan, double sparsity, int batch) {
    try (ModelRunner runner = model.runner(plan, options(batch))) {
      reserve(runner, batch);
      double prefillSeconds = prefillSeconds(runner, batch);
      decodeFor(runner, counters(batch), batch, WARM_UP_NANOS);
      SparsityCounters counters = counters(batch);
      double[] steps = decodeFor(runner, counters, batch, TIMED_NANOS);
      List<LayerStatistics> rows = counters.statistics();
      return new BenchmarkResult(
          plan.method().toString(),
          sparsity,
          plan.union().toString(),
          batch,
          options.context(),
          model.weightType().name().toLowerCase(Locale.ROOT),
          model.backend().toString(),
          runner.device(),
          workers,
          batch * options.context() / prefillSeconds,
          batch / median(steps),
          mean(rows, LayerStatistics::ownDensity),
          mean(rows, LayerStatistics::unionDensity),
          mean(rows, row -> (double) row.denseSteps() / row.steps()),
          Math.round(rows.size() * mean(rows, row -> (double) row.bytesRead() / row.steps())),
          Math.round(rows.size() * mean(rows, row -> (double) row.bytesDense() / row.steps())));
    }
  }

  private void reserve(ModelRunner runner, int batch) {
    for (int slot = 0; slot < batch; slot++) {
      if (!runner.reserve(slot, capacity())) {
        throw new UserException(
            String.format(
                "the key/value cache has no room for %d sequences of %d positions; lower"
                    + " --batch-sizes or --context",
                batch, capacity()));
      }
    }
  }

  private double prefillSeconds(ModelRunner runner, int batch) {
    long warm = System.nanoTime() + WARM_UP_NANOS;
    while (System.nanoTime() < warm) {
      prefill(runner, batch);
    }
    double[] seconds = new double[PREFILL_ROUNDS];
    for (int round = 0; round < PREFILL_ROUNDS; round++) {
      long start = System.nanoTime();
      prefill(runner, batch);
      seconds[round] = (System.nanoTime() - start) / 1e9;
    }
    return median(seconds);
  }

  private void prefill(ModelRunner runner, int batch) {
    TokenBatch tokens = new TokenBatch(runner.tokenCapacity());
    for (int slot = 0; slot < batch; slot++) {
      for (int position = 0; position < options.context(); position++) {
        if (tokens.full()) {
          runner.prefill(tokens);
          tokens.clear();
        }
        if (position < options.context() - 1) {
          tokens.add(token(), position, slot);
        } else {
          tokens.addLast(token(), position, slot, RANDOM);
        }
      }
    }
    runner.prefill(tokens);
  }

  /**
   * Seconds of each step, of a call's steps their mean. The cache's last positions are overwritten
   * again and again, so that a device does not run steps of large models ahead as a generator's are.
   */
  private double[] decodeFor(
      ModelRunner runner, SparsityCounters counters, int batch, long nanos) {
    double[] seconds = new double[1 << 14];
    long end = System.nanoTime() + nanos;
    int calls = 0;
    while (calls < seconds.length && (calls < LEAST_STEPS || System.nanoTime() < end)) {
      long start = System.nanoTime();
      int position = options.context() + calls % (CALIBRATION_STEPS - runner.stepsPerCall());
      int steps = decode(runner, counters, batch, position);
      seconds[calls++] = (System.nanoTime() - start) / 1e9 / steps;
    }
    return Arrays.copyOf(seconds, calls);
  }

  /** Returns the steps of the call. */
  private int decode(ModelRunner runner, SparsityCounters counters, int batch, int position) {
    List<DecodeSequence> sequences =
        IntStream.range(0, batch)
            .mapToObj(
                slot ->
                    new DecodeSequence(slot, token(), position, RANDOM, 0, runner.stepsPerCall()))
            .toList();
    return runner.decode(sequences, counters).size();
  }

  private RunnerOptions options(int batch) {
    return RunnerOptions.greedy(batch, capacity(), workers);
  }

  private int token() {
    return random.nextInt(model.config().vocabulary());
  }

  private int capacity() {
    return options.context() + CALIBRATION_STEPS;
  }

  private SparsityCounters counters(int batch) {
    return new SparsityCounters(model.config().layers(), batch, model.cost());
  }

  private static double mean(List<LayerStatistics> rows, ToDoubleFunction<LayerStatistics> value) {
    return rows.stream().mapToDouble(value).average().orElseThrow();
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }
}
