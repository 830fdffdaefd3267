package io.rollcall.kernels.cuda;

/** Exceptions as a device that faulted throws them, where there is no device. */
public final class Faults {
  private Faults() {}

  /** What opening a context throws when the driver gives this process none any more. */
  public static DeviceFaultException processMustEnd() {
    return new DeviceFaultException("kernel k [grid 1 x 1 x 1, 32 threads] faulted", 719, true);
  }

  public static DeviceFaultException ordinary() {
    return new DeviceFaultException("kernel k [grid 1 x 1 x 1, 32 threads] faulted", 700);
  }
}
