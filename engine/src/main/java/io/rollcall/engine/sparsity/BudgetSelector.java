package io.rollcall.engine.sparsity;

import io.rollcall.kernels.RowIndex;

/** Trims a union to the rows with the largest batch energy; of equals the lower row wins. */
public final class BudgetSelector {
  private final float[] candidates;

  public BudgetSelector(int intermediate) {
    candidates = new float[intermediate];
  }

  /**
   * Leaves at most {@code budget} rows in the union, still ascending.
   *
   * @param energy [f]
   */
  public void trim(RowIndex union, float[] energy, int budget) {
    int count = union.count();
    if (count <= budget) {
      return;
    }
    if (budget == 0) {
      union.clear();
      return;
    }
    for (int i = 0; i < count; i++) {
      candidates[i] = energy[union.row(i)];
    }
    float least = Quantiles.select(candidates, count, count - budget);
    int above = 0;
    for (int i = 0; i < count; i++) {
      if (energy[union.row(i)] > least) {
        above++;
      }
    }
    int ties = budget - above;
    int[] rows = union.array();
    union.clear();
    for (int i = 0; i < count; i++) {
      int row = rows[i];
      if (energy[row] > least || (energy[row] == least && ties-- > 0)) {
        union.append(row);
      }
    }
  }
}
