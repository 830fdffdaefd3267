package io.rollcall.jobs.runtime;

import io.rollcall.engine.UserException;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.resource.ResourceInformation;

/**
 * The devices of this process, handed to its tasks. A task gets the device whose address Spark's
 * resource scheduling gave it, and shares it with as many as Spark lets. Where Spark schedules no
 * GPUs, slots take the devices in turn, one task a device, since a task's cache may fill the memory
 * and its batch fills the rest; more tasks wait.
 */
final class DevicePool {
  private static final long WAIT_MILLIS = 500;

  /** Spark's name for the resource, as in {@code spark.task.resource.gpu.amount}. */
  static final String RESOURCE = "gpu";

  private final List<String> uuids;
  private final int[] tasks;
  private int next;

  /**
   * @param uuids of the devices, by ordinal
   * @param first which device comes first; executors of one host that are scheduled
   *     without resources should not all begin with the same
   */
  DevicePool(List<String> uuids, int first) {
    this.uuids = List.copyOf(uuids);
    this.next = first;
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
   * @param waiting called now and then while there is none to be had; throws to give up
   * @return an ordinal, to be given back
   * @throws UserException for an address that no device of this process has
   */
  synchronized int take(List<String> addresses, Runnable waiting) {
    int ordinal = addresses.isEmpty() ? awaitFree(waiting) : ordinal(addresses.get(0));
    tasks[ordinal]++;
    return ordinal;
  }

  synchronized void giveBack(int ordinal) {
    tasks[ordinal]--;
    notifyAll();
  }

  private int awaitFree(Runnable waiting) {
    while (true) {
      for (int i = 0; i < tasks.length; i++) {
        int candidate = Math.floorMod(next + i, tasks.length);
        if (tasks[candidate] == 0) {
          next = candidate + 1;
          return candidate;
        }
      }
      waiting.run();
      try {
        wait(WAIT_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CancellationException("interrupted while waiting for a device");
      }
    }
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
    return uuid.replaceFirst("^GPU-", "").toLowerCase(Locale.ROOT);
  }
}
