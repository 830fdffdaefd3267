package io.rollcall.jobs.analysis;

import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.statistics.SparsityCounters;
import io.rollcall.kernels.WeightType;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/**
 * What other batch sizes or budgets would have read, estimated from the recorded union histograms of
 * one label, at the thresholds of its most common batch size B0.
 *
 * <p>A step whose union had density u at B0 sequences is taken to have 1 - (1 - u)^((B / B0)^a) at B.
 * a says how much less than independent rows a layer's union grows: 1 for independent ones, 0 for
 * sequences that all call the same; it is fitted by layer to the batch sizes that ran, u(B) = 1 - (1 -
 * r)^(B^a) with r the own density. A budget trims the union, and a union past the crossover that was
 * measured for B runs dense. What is read for a union of u is a + b u of dense, b from the method's
 * formula and a from what was recorded, so that a predictor's bytes are counted.
 */
final class Replay {
  /** Any shape: the formula's share of dense does not depend on it. */
  private static final FeedForwardCost SHAPE = new FeedForwardCost(1024, 4096, WeightType.BF16);

  private final Run run;
  private final int baseBatch;
  private final double budget;
  private final List<ReplayedLayer> layers = new ArrayList<>();

  /**
   * One layer as it was at B0.
   *
   * @param densities of its steps' unions, by bin
   * @param shares of its steps, by bin
   */
  private record ReplayedLayer(
      double[] densities,
      double[] shares,
      double overlap,
      double constant,
      double slope,
      double denseBytes) {}

  /**
   * @param cells of one label, not empty
   * @param run of that label, for its method, union and crossover
   */
  Replay(Collection<Savings.Cell> cells, Run run) {
    this.run = run;
    this.baseBatch = commonBatch(cells);
    this.budget =
        UnionStrategy.parse(run.union()) instanceof UnionStrategy.Budget b ? b.fraction() : 1;
    Map<Integer, List<Savings.Cell>> byLayer =
        cells.stream()
            .collect(Collectors.groupingBy(Savings.Cell::layer, TreeMap::new, Collectors.toList()));
    byLayer.values().forEach(layer -> layers.add(layer(layer)));
  }

  /** The number of sequences that most of them decoded with. */
  static int commonBatch(Collection<Savings.Cell> cells) {
    Map<Integer, Long> sequences =
        cells.stream()
            .collect(
                Collectors.groupingBy(
                    Savings.Cell::batchSize,
                    TreeMap::new,
                    Collectors.summingLong(cell -> cell.steps() * cell.batchSize())));
    return sequences.entrySet().stream()
        .max(Map.Entry.<Integer, Long>comparingByValue().thenComparing(Map.Entry.comparingByKey()))
        .orElseThrow()
        .getKey();
  }

  int baseBatch() {
    return baseBatch;
  }

  /** Fraction of rows that the recorded union strategy could load at most. */
  double budget() {
    return budget;
  }

  /**
   * Feed-forward bytes of a step with so many sequences, of dense's.
   *
   * @param fraction of the rows that a budget allows; 1 for no budget
   */
  double read(int batch, double fraction) {
    double growth = (double) batch / baseBatch;
    double crossover = run.crossover(batch).orElse(Double.POSITIVE_INFINITY);
    double read = 0;
    double dense = 0;
    for (ReplayedLayer layer : layers) {
      double sum = 0;
      for (int bin = 0; bin < layer.shares().length; bin++) {
        double grown =
            1 - Math.pow(1 - layer.densities()[bin], Math.pow(growth, layer.overlap()));
        double union = Math.min(Math.min(grown, fraction), budget);
        double loaded = union >= crossover ? 1 : union;
        sum += layer.shares()[bin] * (layer.constant() + layer.slope() * loaded);
      }
      read += sum * layer.denseBytes();
      dense += layer.denseBytes();
    }
    return read / dense;
  }

  /** Feed-forward bytes of a dense step of all layers. */
  double denseStepBytes() {
    return layers.stream().mapToDouble(ReplayedLayer::denseBytes).sum();
  }

  private ReplayedLayer layer(List<Savings.Cell> cells) {
    double slope =
        (double) (SHAPE.read(run.method(), SHAPE.intermediate(), 0) - SHAPE.read(run.method(), 0, 0))
            / SHAPE.dense();
    Savings.Cell base =
        cells.stream()
            .filter(cell -> cell.batchSize() == baseBatch)
            .findFirst()
            .orElseGet(() -> cells.stream().max(Comparator.comparing(Savings.Cell::steps)).get());
    double[] densities = densities(base);
    double[] shares = new double[densities.length];
    for (int bin = 0; bin < shares.length; bin++) {
      shares[bin] = (double) base.histogram()[bin] / base.steps();
    }
    return new ReplayedLayer(
        densities,
        shares,
        // a trimmed union says nothing of what was called
        budget < 1 ? 1 : overlap(cells),
        constant(cells, slope),
        slope,
        (double) base.bytesDense() / base.steps());
  }

  /** Middles of the bins, moved together so that their mean is the recorded one. */
  private static double[] densities(Savings.Cell cell) {
    double mean = 0;
    for (int bin = 0; bin < SparsityCounters.BINS; bin++) {
      mean += cell.histogram()[bin] * middle(bin) / cell.steps();
    }
    double[] densities = new double[SparsityCounters.BINS];
    for (int bin = 0; bin < densities.length; bin++) {
      densities[bin] = Math.max(0, Math.min(1, middle(bin) + cell.unionDensity() - mean));
    }
    return densities;
  }

  private static double middle(int bin) {
    return (bin + 0.5) / SparsityCounters.BINS;
  }

  /** a of u(B) = 1 - (1 - r)^(B^a), mean over the steps of batch sizes above 1; 1 without any. */
  private static double overlap(List<Savings.Cell> cells) {
    double sum = 0;
    double steps = 0;
    for (Savings.Cell cell : cells) {
      double own = cell.ownDensity();
      double union = cell.unionDensity();
      if (cell.batchSize() > 1 && own > 0 && own < 1 && union >= own && union < 1) {
        double growth = Math.log1p(-union) / Math.log1p(-own);
        sum += cell.steps() * Math.log(growth) / Math.log(cell.batchSize());
        steps += cell.steps();
      }
    }
    return steps == 0 ? 1 : sum / steps;
  }

  /** What is read beside the union's rows, of dense. A step that ran dense read all rows. */
  private static double constant(List<Savings.Cell> cells, double slope) {
    double loaded = 0;
    double steps = 0;
    double read = 0;
    double dense = 0;
    for (Savings.Cell cell : cells) {
      long ranDense = cell.denseSteps();
      loaded += cell.unionDensity() * cell.steps() + ranDense;
      double[] densities = densities(cell);
      for (int bin = densities.length - 1; bin >= 0 && ranDense > 0; bin--) {
        long taken = Math.min(ranDense, cell.histogram()[bin]);
        loaded -= taken * densities[bin];
        ranDense -= taken;
      }
      steps += cell.steps();
      read += cell.bytesRead();
      dense += cell.bytesDense();
    }
    return read / dense - slope * loaded / steps;
  }
}
