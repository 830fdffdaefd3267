package io.rollcall.jobs.generate;

import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.jobs.runtime.Device;
import io.rollcall.jobs.runtime.ModelRegistry;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * What tasks of a run computed on. Devices that are alike are counted together; the crossover, which
 * each process measures on its own, is kept as a range.
 *
 * @param driver CUDA version of the device's driver; null for the CPU
 * @param weights precision of the feed-forward weights
 * @param tasks that finished on it
 * @param crossover union densities from which layers ran dense, [bucket][lowest and highest
 *     measured]; empty for a dense run
 */
public record DeviceUse(
    String backend, String name, String driver, String weights, long tasks, List<List<Double>> crossover)
    implements Serializable {

  static DeviceUse of(ModelRegistry.Lease lease, String runner, SparsityPlan plan) {
    List<List<Double>> crossover =
        plan.method().sparse()
            ? Arrays.stream(plan.crossover().density()).mapToObj(d -> List.of(d, d)).toList()
            : List.of();
    return new DeviceUse(
        lease.model().backend().toString(),
        Device.describe(lease.place(), runner),
        Device.driver(lease.place()),
        lease.model().weightType().name().toLowerCase(Locale.ROOT),
        1,
        crossover);
  }

  boolean alike(DeviceUse other) {
    return backend.equals(other.backend)
        && name.equals(other.name)
        && weights.equals(other.weights)
        && String.valueOf(driver).equals(String.valueOf(other.driver))
        && crossover.size() == other.crossover.size();
  }

  DeviceUse plus(DeviceUse other) {
    List<List<Double>> range = new ArrayList<>();
    for (int bucket = 0; bucket < crossover.size(); bucket++) {
      List<Double> a = crossover.get(bucket);
      List<Double> b = other.crossover.get(bucket);
      range.add(List.of(Math.min(a.get(0), b.get(0)), Math.max(a.get(1), b.get(1))));
    }
    return new DeviceUse(backend, name, driver, weights, tasks + other.tasks, range);
  }
}
