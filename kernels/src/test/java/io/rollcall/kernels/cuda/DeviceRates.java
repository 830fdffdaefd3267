package io.rollcall.kernels.cuda;

import java.util.Arrays;

/** How fast this device is, in this run: what benchmarks divide by. */
public final class DeviceRates {
  private static final long COPIED = 1L << 31;

  private DeviceRates() {}

  /** Bytes a microsecond of a device-to-device copy, counting bytes read and bytes written. */
  public static double copyBytesPerMicro(CudaContext context, CudaStream stream) {
    try (DeviceBuffer from = context.allocate("a copy's source", COPIED);
        DeviceBuffer to = context.allocate("a copy's target", COPIED)) {
      stream.zero(from, 0, COPIED);
      // a device that has rested may take a moment to reach its clocks
      for (int i = 0; i < 100; i++) {
        stream.copy(to, 0, from, 0, COPIED);
      }
      double micros = medianMicros(context, stream, 10, () -> stream.copy(to, 0, from, 0, COPIED));
      return 2.0 * COPIED / micros;
    }
  }

  /** Median of the time between two events around the work, after three rounds unmeasured. */
  public static double medianMicros(CudaContext context, CudaStream stream, int rounds, Runnable work) {
    for (int i = 0; i < 3; i++) {
      work.run();
    }
    double[] micros = new double[rounds];
    try (CudaEvent start = context.newEvent();
        CudaEvent end = context.newEvent()) {
      for (int i = 0; i < rounds; i++) {
        start.record(stream);
        work.run();
        end.record(stream);
        end.synchronize();
        micros[i] = 1000.0 * CudaEvent.millis(start, end);
      }
    }
    Arrays.sort(micros);
    return micros[rounds / 2];
  }
}
