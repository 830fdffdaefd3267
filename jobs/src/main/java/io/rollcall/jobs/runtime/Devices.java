package io.rollcall.jobs.runtime;

import io.rollcall.kernels.cuda.CudaDevice;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskContext;

/** What this process can compute on, found out when first asked, and which tasks are where. */
final class Devices {
  private final Function<BackendChoice, Placement> placing;
  private final Map<BackendChoice, Placement> placements = new EnumMap<>(BackendChoice.class);
  private volatile DevicePool pool;

  Devices() {
    this(Placement::of);
  }

  Devices(Function<BackendChoice, Placement> placing) {
    this.placing = placing;
  }

  /**
   * A place for a task, to be given back; waits for one where Spark schedules no GPUs.
   *
   * @param addresses of GPUs that Spark gave the task
   * @throws io.rollcall.engine.UserException when there is no device where one was asked for
   */
  Place take(BackendChoice choice, List<String> addresses) {
    Placement placement = placement(choice);
    return placement.devices().isEmpty()
        ? Place.CPU
        : new Place(
            placement.backend(), pool(placement).take(addresses, Devices::stopIfTaskIsKilled));
  }

  void giveBack(Place place) {
    if (place.onDevice()) {
      pool.giveBack(place.ordinal());
    }
  }

  /** @throws io.rollcall.engine.UserException when there is no device where one was asked for */
  synchronized Placement placement(BackendChoice choice) {
    return placements.computeIfAbsent(choice, placing);
  }

  private synchronized DevicePool pool(Placement placement) {
    if (pool == null) {
      pool =
          new DevicePool(
              placement.devices().stream().map(CudaDevice::uuid).toList(), executorNumber());
    }
    return pool;
  }

  private static void stopIfTaskIsKilled() {
    if (TaskContext.get() != null) {
      TaskContext.get().killTaskIfInterrupted();
    }
  }

  private static int executorNumber() {
    SparkEnv spark = SparkEnv.get();
    String id = spark == null ? "" : spark.executorId();
    return id.matches("[0-9]{1,9}") ? Integer.parseInt(id) : 0;
  }
}
