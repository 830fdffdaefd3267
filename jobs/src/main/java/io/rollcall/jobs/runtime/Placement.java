package io.rollcall.jobs.runtime;

import io.rollcall.engine.UserException;
import io.rollcall.engine.runner.Backend;
import io.rollcall.kernels.cuda.CudaDevice;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which backend this process computes with, and why.
 *
 * @param devices to compute on; empty for the CPU
 */
record Placement(Backend backend, List<CudaDevice> devices, String why) {
  private static final Logger LOG = LoggerFactory.getLogger(Placement.class);

  /** Oldest compute capability there are kernels for. */
  private static final int OLDEST_MAJOR = 8;

  /** @throws UserException when a device is asked for and there is none */
  static Placement of(BackendChoice choice) {
    // the CPU alone is asked for where the driver is better left alone
    boolean look = choice != BackendChoice.CPU;
    Placement placement =
        of(
            choice,
            look ? CudaDevice.all() : List.of(),
            look ? CudaDevice.whyNone().orElse("there is no CUDA device") : "");
    LOG.info("backend {} for {}: {}", choice, placement.backend(), placement.why());
    return placement;
  }

  /** @param whyNone in words, where {@code all} is empty */
  static Placement of(BackendChoice choice, List<CudaDevice> all, String whyNone) {
    if (choice == BackendChoice.CPU) {
      return new Placement(Backend.CPU, List.of(), "asked for");
    }
    List<CudaDevice> usable = all.stream().filter(d -> d.major() >= OLDEST_MAJOR).toList();
    // An address counts every device, so one that cannot be used must not shift the others.
    if (!all.isEmpty() && usable.size() == all.size()) {
      return new Placement(Backend.CUDA, all, describe(all));
    }
    String why = all.isEmpty() ? whyNone : tooOld(all);
    if (choice == BackendChoice.CUDA) {
      throw new UserException(
          "--backend cuda: "
              + why.replaceAll("[.;\\s]+$", "")
              + "; run where an NVIDIA driver shows a device (nvidia-smi lists it), or use --backend"
              + " cpu");
    }
    return new Placement(Backend.CPU, List.of(), why);
  }

  private static String describe(List<CudaDevice> devices) {
    return devices.size() + (devices.size() == 1 ? " device, " : " devices, ") + devices.get(0).name();
  }

  private static String tooOld(List<CudaDevice> devices) {
    CudaDevice old = devices.stream().filter(d -> d.major() < OLDEST_MAJOR).findFirst().orElseThrow();
    return String.format(
        "device %d, %s, has compute capability %d.%d and the kernels need %d.0 (hide it with"
            + " CUDA_VISIBLE_DEVICES)",
        old.ordinal(), old.name(), old.major(), old.minor(), OLDEST_MAJOR);
  }
}
