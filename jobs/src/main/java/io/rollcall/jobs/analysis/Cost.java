package io.rollcall.jobs.analysis;

import io.rollcall.engine.sparsity.Method;
import io.rollcall.jobs.evaluate.Metrics;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * Device time for a million generated tokens, prompts included, sparse beside dense.
 *
 * @param seconds busy seconds of the label's runs for a million generated tokens
 * @param denseSeconds what dense takes for the same tokens, by the basis
 */
public record Cost(String label, double seconds, double denseSeconds, Basis basis) {
  private static final double MILLION = 1e6;

  /** Where the dense figure comes from. */
  public enum Basis {
    /** For every run a dense one like it is among the runs: {@link Cost#comparable}. */
    MEASURED("measured in dense runs"),
    /** Decode time by the speeds that an evaluation found. */
    EVALUATED("from the decode speeds of the evaluation"),
    /** Decode time by bytes: what dense takes at most. */
    BOUND("at most, if decode time were feed-forward bytes alone");

    private final String words;

    Basis(String words) {
      this.words = words;
    }

    @Override
    public String toString() {
      return words;
    }
  }

  /** Device hours for a million generated tokens. */
  public double hours() {
    return seconds / 3600;
  }

  public double denseHours() {
    return denseSeconds / 3600;
  }

  /** One for each sparse label that generated something. */
  static List<Cost> of(Savings savings, List<Metrics> evaluated) {
    List<Cost> costs = new ArrayList<>();
    savings.runs().stream()
        .filter(run -> run.method().sparse())
        .map(savings::label)
        .distinct()
        .forEach(label -> of(label, savings, evaluated).ifPresent(costs::add));
    return costs;
  }

  private static Optional<Cost> of(String label, Savings savings, List<Metrics> evaluated) {
    List<Run> runs = savings.runs(label);
    if (runs.isEmpty() || tokens(runs) == 0) {
      return Optional.empty();
    }
    double seconds = MILLION * busy(runs) / tokens(runs);
    OptionalDouble dense = dense(runs, savings);
    if (dense.isPresent()) {
      return Optional.of(
          new Cost(label, seconds, MILLION * dense.getAsDouble() / tokens(runs), Basis.MEASURED));
    }
    double decode = runs.stream().mapToDouble(run -> run.decode().seconds()).sum();
    double prefill = busy(runs) - decode;
    Optional<Double> slower = speedup(runs, evaluated);
    double factor = slower.orElseGet(() -> 1 / read(label, savings));
    return Optional.of(
        new Cost(
            label,
            seconds,
            MILLION * (prefill + decode * factor) / tokens(runs),
            slower.isPresent() ? Basis.EVALUATED : Basis.BOUND));
  }

  /** Busy seconds of as many tokens in dense runs; empty where a run has no dense one like it. */
  private static OptionalDouble dense(List<Run> runs, Savings savings) {
    double seconds = 0;
    for (Run run : runs) {
      List<Run> dense =
          savings.runs().stream()
              .filter(other -> other.method() == Method.DENSE && other.succeeded())
              .filter(other -> comparable(other, run))
              .toList();
      if (tokens(dense) == 0) {
        return OptionalDouble.empty();
      }
      seconds += run.outputTokens() * busy(dense) / tokens(dense);
    }
    return OptionalDouble.of(seconds);
  }

  /** Whether nothing but the method sets their times apart: larger batches alone are faster. */
  private static boolean comparable(Run a, Run b) {
    return a.model().equals(b.model())
        && a.weights() == b.weights()
        && devices(a).equals(devices(b))
        && a.batchSize() == b.batchSize()
        && a.maxNewTokens() == b.maxNewTokens()
        && a.context() == b.context();
  }

  /** Bytes to dense's, over all layers. */
  private static double read(String label, Savings savings) {
    long read = 0;
    long dense = 0;
    for (Savings.Layer layer : savings.layers()) {
      if (layer.label().equals(label)) {
        read += layer.bytesRead();
        dense += layer.bytesDense();
      }
    }
    return (double) read / dense;
  }

  /** Decode speed of the runs' configuration to dense's, where it was evaluated. */
  private static Optional<Double> speedup(List<Run> runs, List<Metrics> evaluated) {
    return Quality.of(runs.get(runs.size() - 1), evaluated)
        .filter(quality -> quality.dense().decodeTokensPerS() > 0)
        .map(quality -> quality.of().decodeTokensPerS() / quality.dense().decodeTokensPerS());
  }

  private static List<String> devices(Run run) {
    return run.devices().stream().map(Run.Device::name).sorted().toList();
  }

  private static double busy(List<Run> runs) {
    return runs.stream().mapToDouble(Run::busySeconds).sum();
  }

  private static long tokens(List<Run> runs) {
    return runs.stream().mapToLong(Run::outputTokens).sum();
  }
}
