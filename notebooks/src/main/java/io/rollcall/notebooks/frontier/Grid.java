package io.rollcall.notebooks.frontier;

import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.kernels.WeightType;
import java.util.ArrayList;
import java.util.List;

/**
 * Configurations that show the frontier between a loss of about 1 and 15 %. Under shared and budget a
 * sparsity is of the union, so the interesting ones shrink as batches grow.
 */
final class Grid {
  private static final UnionStrategy SHARED = new UnionStrategy.Shared();
  private static final UnionStrategy OWN = new UnionStrategy.Own();
  private static final List<WeightType> QUANTISED = List.of(WeightType.INT8, WeightType.INT4);

  private final int batchSize;
  private final List<Method> methods;
  private final List<Wanted> all = new ArrayList<>();

  /** @param sparsity 0 for dense */
  record Wanted(
      Method method, UnionStrategy union, WeightType weights, boolean recovery, double sparsity) {}

  private Grid(int batchSize, List<Method> methods) {
    this.batchSize = batchSize;
    this.methods = methods;
  }

  /**
   * What is to be measured with so many sequences in flight.
   *
   * @param methods sparse ones
   */
  static List<Wanted> of(int batchSize, List<Method> methods) {
    Grid grid = new Grid(batchSize, methods);
    grid.fill();
    return grid.all;
  }

  private void fill() {
    for (WeightType weights : QUANTISED) {
      all.add(new Wanted(Method.DENSE, OWN, weights, false, 0));
    }
    for (Method method : methods) {
      if (method == Method.D_COUNTDOWN_ORACLE || method == Method.S_COUNTDOWN_ORACLE) {
        double middle = oracles()[1];
        fill(method, oracles(), new double[] {middle}, 0.7);
        recover(method, middle, 0.7, middle);
      } else {
        fill(method, sparsities(), middle(), 0.3, 0.5, 0.7);
        recover(method, middle()[1], 0.5, recovered());
      }
    }
  }

  /**
   * Without corrections.
   *
   * @param middle of those under shared; budgets drop as much
   * @param own under own
   */
  private void fill(Method method, double[] shared, double[] middle, double... own) {
    add(method, SHARED, WeightType.BF16, false, shared);
    QUANTISED.forEach(weights -> add(method, SHARED, weights, false, middle));
    // for one sequence the three unions are the same
    if (batchSize > 1) {
      add(method, OWN, WeightType.BF16, false, own);
      for (double dropped : middle) {
        add(method, budget(dropped), WeightType.BF16, false, dropped / 2);
      }
      double dropped = middle[middle.length - 1];
      for (WeightType weights : QUANTISED) {
        add(method, OWN, weights, false, own[own.length / 2]);
        add(method, budget(dropped), weights, false, dropped / 2);
      }
    }
  }

  /**
   * With corrections, of sparsities that are measured without them too.
   *
   * @param dropped under shared on quantised weights and, half of it, under a budget
   * @param own under own
   * @param shared under shared in bf16
   */
  private void recover(Method method, double dropped, double own, double... shared) {
    add(method, SHARED, WeightType.BF16, true, shared);
    QUANTISED.forEach(weights -> add(method, SHARED, weights, true, dropped));
    if (batchSize > 1) {
      for (WeightType weights : List.of(WeightType.BF16, WeightType.INT8, WeightType.INT4)) {
        add(method, OWN, weights, true, own);
        add(method, budget(dropped), weights, true, dropped / 2);
      }
    }
  }

  /** Thresholds alone would drop half as much; the budget's energies choose the rest. */
  private static UnionStrategy budget(double dropped) {
    return new UnionStrategy.Budget(Math.round(100 * (1 - dropped)) / 100.0);
  }

  private void add(
      Method method,
      UnionStrategy union,
      WeightType weights,
      boolean recovery,
      double... sparsities) {
    for (double sparsity : sparsities) {
      all.add(new Wanted(method, union, weights, recovery, sparsity));
    }
  }

  private double[] sparsities() {
    return switch (batchSize) {
      case 1 -> new double[] {0.3, 0.4, 0.5, 0.6};
      case 2, 4 -> new double[] {0.1, 0.2, 0.3, 0.4};
      case 8, 16 -> new double[] {0.05, 0.1, 0.15, 0.2, 0.25, 0.3};
      default -> new double[] {0.05, 0.1, 0.15, 0.25};
    };
  }

  private double[] oracles() {
    return switch (batchSize) {
      case 1 -> new double[] {0.5, 0.65, 0.75, 0.8};
      case 2, 4 -> new double[] {0.3, 0.4, 0.5};
      case 8, 16 -> new double[] {0.2, 0.3, 0.4};
      default -> new double[] {0.1, 0.2, 0.3};
    };
  }

  private double[] recovered() {
    return switch (batchSize) {
      case 1 -> new double[] {0.5, 0.6};
      case 2, 4 -> new double[] {0.2, 0.3};
      case 8, 16 -> new double[] {0.15, 0.25};
      default -> new double[] {0.1, 0.15};
    };
  }

  private double[] middle() {
    return switch (batchSize) {
      case 1 -> new double[] {0.4, 0.5};
      case 2, 4 -> new double[] {0.2, 0.3};
      case 8, 16 -> new double[] {0.1, 0.2};
      default -> new double[] {0.1, 0.15};
    };
  }
}
