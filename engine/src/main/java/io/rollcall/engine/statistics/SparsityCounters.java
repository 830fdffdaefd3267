package io.rollcall.engine.statistics;

import io.rollcall.engine.sparsity.FeedForwardCost;
import java.util.ArrayList;
import java.util.List;

/**
 * Exact counts of the decode steps of one task, by layer and batch size; nothing is kept per step.
 */
public final class SparsityCounters {
  /** Equal bins of [0, 1] in a union histogram; density 1 falls into the last. */
  public static final int BINS = 20;

  private static final class Cell {
    long steps;
    long called;
    long union;
    long denseSteps;
    long bytesRead;
    final long[] histogram = new long[BINS];
  }

  private final FeedForwardCost cost;
  private final Cell[][] cells;
  private volatile double meanUnionDensity = Double.NaN;
  private long unions;
  private double unionDensities;

  public SparsityCounters(int layers, int batchSize, FeedForwardCost cost) {
    this.cost = cost;
    this.cells = new Cell[layers][batchSize + 1];
  }

  /**
   * Counts one layer of one step.
   *
   * @param batch sequences in the step
   * @param called neurons called, summed over the sequences
   * @param union rows in the union
   * @param dense whether the layer ran dense past the crossover
   */
  public void add(int layer, int batch, long called, int union, boolean dense, long bytesRead) {
    Cell cell = cells[layer][batch];
    if (cell == null) {
      cell = cells[layer][batch] = new Cell();
    }
    double density = (double) union / cost.intermediate();
    cell.steps++;
    cell.called += called;
    cell.union += union;
    cell.denseSteps += dense ? 1 : 0;
    cell.bytesRead += bytesRead;
    cell.histogram[Math.min(BINS - 1, (int) (density * BINS))]++;
    unions++;
    unionDensities += density;
    meanUnionDensity = unionDensities / unions;
  }

  /** Mean over all steps and layers; NaN before the first. May be read from any thread. */
  public double meanUnionDensity() {
    return meanUnionDensity;
  }

  /** A row for each layer and batch size that had a step. */
  public List<LayerStatistics> statistics() {
    List<LayerStatistics> rows = new ArrayList<>();
    for (int layer = 0; layer < cells.length; layer++) {
      for (int batch = 1; batch < cells[layer].length; batch++) {
        if (cells[layer][batch] != null) {
          rows.add(row(layer, batch, cells[layer][batch]));
        }
      }
    }
    return rows;
  }

  private LayerStatistics row(int layer, int batch, Cell cell) {
    double width = cost.intermediate();
    long sequences = cell.steps * batch;
    return new LayerStatistics(
        layer,
        batch,
        cell.steps,
        sequences,
        cell.called / (width * sequences),
        cell.union / (width * cell.steps),
        cell.histogram.clone(),
        cell.denseSteps,
        cell.bytesRead,
        cell.steps * cost.dense());
  }
}
