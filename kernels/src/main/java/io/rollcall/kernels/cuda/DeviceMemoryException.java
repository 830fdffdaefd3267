package io.rollcall.kernels.cuda;

/**
 * Device memory ran out: what was to be stored, and how much was needed, free and there, in bytes. What
 * a library needs for itself is not known: 0.
 */
public final class DeviceMemoryException extends RuntimeException {
  private final String what;
  private final long needed;
  private final long free;
  private final long total;

  public DeviceMemoryException(String what, long needed, long free, long total) {
    super(
        "%s needs %s MiB of device memory; %s MiB of %s MiB are free"
            .formatted(what, mebibytes(needed), mebibytes(free), mebibytes(total)));
    this.what = what;
    this.needed = needed;
    this.free = free;
    this.total = total;
  }

  /** Of a library that allocates by itself and does not say how much. */
  DeviceMemoryException(String what, long free, long total) {
    super(
        "%s does not fit in device memory; %s MiB of %s MiB are free"
            .formatted(what, mebibytes(free), mebibytes(total)));
    this.what = what;
    this.needed = 0;
    this.free = free;
    this.total = total;
  }

  public String what() {
    return what;
  }

  public long needed() {
    return needed;
  }

  public long free() {
    return free;
  }

  public long total() {
    return total;
  }

  private static long mebibytes(long bytes) {
    return (bytes + (1L << 20) - 1) >> 20;
  }
}
