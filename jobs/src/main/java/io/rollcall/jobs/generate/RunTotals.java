package io.rollcall.jobs.generate;

import io.rollcall.engine.generation.FinishReason;
import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.PhaseTimes;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.statistics.LayerStatistics;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Sums over the tasks of a run. Immutable.
 *
 * @param finishReasons generations by finish reason
 * @param errors error rows by kind: the message with its numbers left out
 * @param promptTokens of prompts that were answered
 * @param layers own and union density summed over steps, by layer
 * @param buckets what sequences called, by layer and batch bucket
 * @param devices what the tasks ran on; those alike are one
 * @param slowest of the tasks, slowest first; not all of them
 */
public record RunTotals(
    Map<String, Long> finishReasons,
    Map<String, Long> errors,
    long promptTokens,
    long outputTokens,
    PhaseTimes times,
    List<LayerTotals> layers,
    List<BucketTotals> buckets,
    List<DeviceUse> devices,
    List<PartitionTimes> slowest)
    implements Serializable {

  private static final int ERROR_KINDS = 20;

  /** Of no task. */
  public static final RunTotals NONE =
      new RunTotals(
          Map.of(), Map.of(), 0, 0, PhaseTimes.NONE, List.of(), List.of(), List.of(), List.of());

  /**
   * The decode steps of one layer.
   *
   * @param ownDensity sum over sequences
   * @param unionDensity sum over steps
   */
  public record LayerTotals(
      int layer,
      long steps,
      long sequences,
      double ownDensity,
      double unionDensity,
      long denseSteps,
      long bytesRead,
      long bytesDense)
      implements Serializable {

    static LayerTotals of(LayerStatistics of) {
      return new LayerTotals(
          of.layer(),
          of.steps(),
          of.sequences(),
          of.ownDensity() * of.sequences(),
          of.unionDensity() * of.steps(),
          of.denseSteps(),
          of.bytesRead(),
          of.bytesDense());
    }

    LayerTotals plus(LayerTotals other) {
      return new LayerTotals(
          layer,
          steps + other.steps,
          sequences + other.sequences,
          ownDensity + other.ownDensity,
          unionDensity + other.unionDensity,
          denseSteps + other.denseSteps,
          bytesRead + other.bytesRead,
          bytesDense + other.bytesDense);
    }

    /** Over sequences and steps; NaN without a decode step. */
    public double meanOwnDensity() {
      return sequences == 0 ? Double.NaN : ownDensity / sequences;
    }

    /** Over steps; NaN without a decode step. */
    public double meanUnionDensity() {
      return steps == 0 ? Double.NaN : unionDensity / steps;
    }
  }

  /**
   * What the sequences of one layer and batch bucket called.
   *
   * @param ownDensity sum over sequences
   */
  public record BucketTotals(int layer, int bucket, long sequences, double ownDensity)
      implements Serializable {

    static BucketTotals of(LayerStatistics of) {
      return new BucketTotals(
          of.layer(),
          BatchBuckets.of(of.batchSize()),
          of.sequences(),
          of.ownDensity() * of.sequences());
    }

    BucketTotals plus(BucketTotals other) {
      return new BucketTotals(
          layer, bucket, sequences + other.sequences, ownDensity + other.ownDensity);
    }
  }

  /** Adds one row. */
  public RunTotals plus(Generation generation) {
    boolean failed = generation.finishReason() == FinishReason.ERROR;
    return plus(
        new RunTotals(
            Map.of(generation.finishReason().toString(), 1L),
            failed ? Map.of(kind(generation.error()), 1L) : Map.of(),
            failed ? 0 : generation.promptTokens(),
            generation.outputTokens(),
            PhaseTimes.NONE,
            List.of(),
            List.of(),
            List.of(),
            List.of()));
  }

  /** Adds what a task's finished generator knows to the task's rows. */
  RunTotals plus(
      PhaseTimes times,
      List<LayerStatistics> statistics,
      DeviceUse device,
      int partition,
      String host) {
    return plus(
        new RunTotals(
            Map.of(),
            Map.of(),
            0,
            0,
            times,
            statistics.stream().map(LayerTotals::of).toList(),
            byBucket(statistics.stream().map(BucketTotals::of).toList()),
            List.of(device),
            List.of(
                new PartitionTimes(
                    partition, host, rows(), promptTokens, outputTokens, times))));
  }

  public RunTotals plus(RunTotals other) {
    return new RunTotals(
        sum(finishReasons, other.finishReasons),
        limited(sum(errors, other.errors)),
        promptTokens + other.promptTokens,
        outputTokens + other.outputTokens,
        times.plus(other.times),
        byLayer(layers, other.layers),
        byBucket(Stream.concat(buckets.stream(), other.buckets.stream()).toList()),
        together(devices, other.devices),
        PartitionTimes.slowest(slowest, other.slowest));
  }

  /** Rows written to generations. */
  public long rows() {
    return finishReasons.values().stream().mapToLong(Long::longValue).sum();
  }

  public long errorRows() {
    return finishReasons.getOrDefault(FinishReason.ERROR.toString(), 0L);
  }

  /** Of feed-forward weights, in all layers. */
  public long bytesRead() {
    return layers.stream().mapToLong(LayerTotals::bytesRead).sum();
  }

  /** What dense would have read of them. */
  public long bytesDense() {
    return layers.stream().mapToLong(LayerTotals::bytesDense).sum();
  }

  /** Over all layers and steps; NaN without a decode step. */
  public double unionDensity() {
    long steps = layers.stream().mapToLong(LayerTotals::steps).sum();
    return layers.stream().mapToDouble(LayerTotals::unionDensity).sum() / steps;
  }

  private static String kind(String error) {
    return error.replaceAll("[0-9]+", "#");
  }

  private static Map<String, Long> sum(Map<String, Long> a, Map<String, Long> b) {
    Map<String, Long> sum = new TreeMap<>(a);
    b.forEach((key, count) -> sum.merge(key, count, Long::sum));
    return sum;
  }

  private static Map<String, Long> limited(Map<String, Long> errors) {
    if (errors.size() <= ERROR_KINDS) {
      return errors;
    }
    Map<String, Long> kept = new TreeMap<>();
    errors.forEach(
        (kind, count) ->
            kept.merge(
                kept.size() < ERROR_KINDS - 1 || kept.containsKey(kind) ? kind : "other",
                count,
                Long::sum));
    return kept;
  }

  private static List<DeviceUse> together(List<DeviceUse> a, List<DeviceUse> b) {
    List<DeviceUse> sum = new ArrayList<>(a);
    for (DeviceUse use : b) {
      int like = IntStream.range(0, sum.size()).filter(i -> sum.get(i).alike(use)).findFirst().orElse(-1);
      if (like < 0) {
        sum.add(use);
      } else {
        sum.set(like, sum.get(like).plus(use));
      }
    }
    return sum;
  }

  private static List<LayerTotals> byLayer(List<LayerTotals> a, List<LayerTotals> b) {
    Map<Integer, LayerTotals> sum = new TreeMap<>();
    a.forEach(layer -> sum.merge(layer.layer(), layer, LayerTotals::plus));
    b.forEach(layer -> sum.merge(layer.layer(), layer, LayerTotals::plus));
    return new ArrayList<>(sum.values());
  }

  private static List<BucketTotals> byBucket(List<BucketTotals> all) {
    Map<List<Integer>, BucketTotals> sum = new LinkedHashMap<>();
    all.forEach(b -> sum.merge(List.of(b.layer(), b.bucket()), b, BucketTotals::plus));
    return new ArrayList<>(sum.values());
  }
}
