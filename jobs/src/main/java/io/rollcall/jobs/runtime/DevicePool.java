package io.rollcall.jobs.runtime;

import io.rollcall.engine.UserException;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.resource.ResourceInformation;

/**
 * The devices of this process, handed to its tasks: a task gets the device whose address Spark's
 * resource scheduling gave it, or without one the device with the fewest tasks, so that slots take the
 * devices in turn.
 */
final class DevicePool {
  /** Spark's name for the resource, as in {@code spark.task.resource.gpu.amount}. */
  static final String RESOURCE = "gpu";

  private final List<String> uuids;
  private final int first;
  private final int[] tasks;

  /**
   * @param uuids of the devices, by ordinal
   * @param first which device comes first among equals; executors of one host that are scheduled
   *     without resources should not all begin with the same
   */
  DevicePool(List<String> uuids, int first) {
    this.uuids = List.copyOf(uuids);
    this.first = first;
    this.tasks = new int[uuids.size()];
  }

  /** What Spark's resource scheduling gave the task; empty where it schedules no GPUs. */
  static List<String> addresses(TaskContext task) {
    ResourceInformation gpu = task.resourcesJMap().get(RESOURCE);
    return gpu == null ? List.of() : List.of(gpu.addresses());
  }

  /**
   * @param addresses Spark's, of which the first is used: an ordinal among the devices that
   *     CUDA_VISIBLE_DEVICES shows, or a UUID
   * @return an ordinal, to be given back
   * @throws UserException for an address that no device of this process has
   */
  synchronized int take(List<String> addresses) {
    int ordinal = addresses.isEmpty() ? leastUsed() : ordinal(addresses.get(0));
    tasks[ordinal]++;
    return ordinal;
  }

  synchronized void giveBack(int ordinal) {
    tasks[ordinal]--;
  }

  private int leastUsed() {
    int best = Math.floorMod(first, tasks.length);
    for (int i = 1; i < tasks.length; i++) {
      int candidate = Math.floorMod(first + i, tasks.length);
      if (tasks[candidate] < tasks[best]) {
        best = candidate;
      }
    }
    return best;
  }

  private int ordinal(String address) {
    for (int i = 0; i < uuids.size(); i++) {
      if (address.equals(Integer.toString(i)) || plain(address).equals(plain(uuids.get(i)))) {
        return i;
      }
    }
    throw new UserException(
        String.format(
            "Spark gave a task the GPU address '%s' and this executor sees the devices %s; the"
                + " discovery script must print ordinals of the devices in CUDA_VISIBLE_DEVICES, as"
                + " conf/gpu-discovery.sh does",
            address,
            IntStream.range(0, uuids.size())
                .mapToObj(Integer::toString)
                .collect(Collectors.joining(", "))));
  }

  private static String plain(String uuid) {
    return uuid.replaceFirst("^GPU-", "").toLowerCase(java.util.Locale.ROOT);
  }
}
