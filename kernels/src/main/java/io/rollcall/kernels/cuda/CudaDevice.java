package io.rollcall.kernels.cuda;

import java.util.List;
import java.util.Optional;

/**
 * A device that the driver shows to this process.
 *
 * @param ordinal its number among those visible to the process
 * @param uuid as nvidia-smi prints it, "GPU-…"
 * @param major of its compute capability
 * @param l2Bytes size of the L2 cache
 * @param sharedBytesPerBlock the most shared memory a block can have, in bytes
 * @param driverVersion newest CUDA that the driver knows: 1000 x major + 10 x minor
 */
public record CudaDevice(
    int ordinal,
    String name,
    String uuid,
    int major,
    int minor,
    int multiprocessors,
    long memoryBytes,
    long l2Bytes,
    int sharedBytesPerBlock,
    int driverVersion) {

  /** The devices in the driver's order; empty where there is none, for {@link #whyNone()}. Never throws. */
  public static List<CudaDevice> all() {
    return Driver.devices();
  }

  /** Why {@link #all()} is empty, in words; empty where it is not. */
  public static Optional<String> whyNone() {
    return Driver.problem();
  }

  /** Whether a kernel may start while the one before it ends: from sm_90 on, captured too from CUDA 12.3 on. */
  boolean overlaps() {
    return major >= 9 && driverVersion >= 12030;
  }
}
