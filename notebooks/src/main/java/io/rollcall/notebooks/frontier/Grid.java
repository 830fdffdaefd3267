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
  /** Batch sizes at which quantised weights and recovery are measured. */
  private static final List<Integer> MAIN = List.of(1, 8, 32);

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
   * What is to be measured with so many sequences in flight, the most wanted first.
   *
   * @param methods sparse ones
   */
  static List<Wanted> of(int batchSize, List<Method> methods) {
    Grid grid = new Grid(batchSize, methods);
    grid.fill();
    return grid.all;
  }

  private void fill() {
    for (Method method : methods) {
      add(method, SHARED, WeightType.BF16, false, oracle(method) ? oracles() : sparsities());
    }
    for (WeightType weights : List.of(WeightType.INT8, WeightType.INT4)) {
      all.add(new Wanted(Method.DENSE, new UnionStrategy.Own(), weights, false, 0));
    }
    if (MAIN.contains(batchSize)) {
      for (Method method : some(Method.M_COUNTDOWN, Method.D_COUNTDOWN, Method.CATS)) {
        add(method, SHARED, WeightType.BF16, true, recovered());
      }
      for (WeightType weights : List.of(WeightType.INT8, WeightType.INT4)) {
        for (Method method : some(Method.M_COUNTDOWN, Method.D_COUNTDOWN)) {
          add(method, SHARED, weights, false, middle());
        }
      }
    }
    if (batchSize > 1) {
      // for one sequence the three unions are the same
      for (Method method : some(Method.M_COUNTDOWN, Method.D_COUNTDOWN, Method.CATS)) {
        add(method, new UnionStrategy.Own(), WeightType.BF16, false, new double[] {0.3, 0.5, 0.7});
      }
      for (Method method : some(Method.M_COUNTDOWN, Method.D_COUNTDOWN, Method.CATS)) {
        for (double dropped : middle()) {
          // thresholds alone would drop half as much; the budget's energies choose the rest
          UnionStrategy budget = new UnionStrategy.Budget(Math.round(100 * (1 - dropped)) / 100.0);
          add(method, budget, WeightType.BF16, false, new double[] {dropped / 2});
        }
      }
    }
  }

  private List<Method> some(Method... wanted) {
    return List.of(wanted).stream().filter(methods::contains).toList();
  }

  private void add(
      Method method,
      UnionStrategy union,
      WeightType weights,
      boolean recovery,
      double[] sparsities) {
    for (double sparsity : sparsities) {
      all.add(new Wanted(method, union, weights, recovery, sparsity));
    }
  }

  private static boolean oracle(Method method) {
    return method == Method.D_COUNTDOWN_ORACLE || method == Method.S_COUNTDOWN_ORACLE;
  }

  private double[] sparsities() {
    return switch (batchSize) {
      case 1 -> new double[] {0.3, 0.4, 0.5, 0.6};
      case 2, 4 -> new double[] {0.1, 0.2, 0.3, 0.4};
      case 8, 16 -> new double[] {0.05, 0.1, 0.2, 0.3};
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
      case 8 -> new double[] {0.15, 0.25};
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
