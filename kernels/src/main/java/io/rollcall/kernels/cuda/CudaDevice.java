package io.rollcall.kernels.cuda;

import java.util.List;
import java.util.Optional;

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
  public static List<CudaDevice> all() { return List.of(); }
  public static Optional<String> whyNone() { return Optional.of("not written yet"); }
}
