package io.rollcall.jobs.runtime;

import io.rollcall.kernels.cuda.CudaDevice;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.apache.spark.SparkEnv;

/** What this process can compute on, found out when first asked, and which tasks are where. */
final class Devices {
  private final Function<BackendChoice, Placement> placing;
  private final Map<BackendChoice, Placement> placements = new EnumMap<>(BackendChoice.class);
  private DevicePool pool;

  Devices() {
    this(Placement::of);
  }

  Devices(Function<BackendChoice, Placement> placing) {
    this.placing = placing;
  }

  /**
   * A place for a task, to be given back.
   *
   * @param addresses of GPUs that Spark gave the task
   * @throws io.rollcall.engine.UserException when there is no device where one was asked for
   */
  synchronized Place take(BackendChoice choice, List<String> addresses) {
    Placement placement = placements.computeIfAbsent(choice, placing);
    if (placement.devices().isEmpty()) {
      return Place.CPU;
    }
    if (pool == null) {
      pool =
          new DevicePool(
              placement.devices().stream().map(CudaDevice::uuid).toList(), executorNumber());
    }
    return new Place(placement.backend(), pool.take(addresses));
  }

  synchronized void giveBack(Place place) {
    if (place.onDevice()) {
      pool.giveBack(place.ordinal());
    }
  }

  private static int executorNumber() {
    SparkEnv spark = SparkEnv.get();
    String id = spark == null ? "" : spark.executorId();
    return id.matches("[0-9]{1,9}") ? Integer.parseInt(id) : 0;
  }
}
