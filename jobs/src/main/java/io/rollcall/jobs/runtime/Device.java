package io.rollcall.jobs.runtime;

import io.rollcall.kernels.cuda.CudaDevice;
import io.rollcall.kernels.cuda.DeviceFaultException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/** What this process computes on. */
public final class Device {
  private static final String CPU = cpu();

  private Device() {}

  /**
   * For run records.
   *
   * @param runner the engine's word for what computes
   */
  public static String describe(Place place, String runner) {
    return place.onDevice() ? runner : CPU + ", " + runner;
  }

  /** The CUDA version of a device's driver, 12.4 say; null for the CPU. */
  public static String driver(Place place) {
    return !place.onDevice()
        ? null
        : CudaDevice.all().stream()
            .filter(device -> device.ordinal() == place.ordinal())
            .map(device -> version(device.driverVersion()))
            .findFirst()
            .orElse(null);
  }

  /** As the driver counts: 12040 is 12.4. */
  private static String version(int driver) {
    return driver / 1000 + "." + driver % 1000 / 10;
  }

  /** Whether what failed was a device, in a way that this process cannot recover from. */
  public static boolean lostToProcess(Throwable e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof DeviceFaultException fault && fault.processMustEnd()) {
        return true;
      }
    }
    return false;
  }

  private static String cpu() {
    int cores = Runtime.getRuntime().availableProcessors();
    return "cpu: " + model() + ", " + cores + (cores == 1 ? " core" : " cores");
  }

  private static String model() {
    Path info = Path.of("/proc/cpuinfo");
    if (Files.isReadable(info)) {
      try (Stream<String> lines = Files.lines(info, StandardCharsets.UTF_8)) {
        return lines
            .filter(line -> line.startsWith("model name"))
            .map(line -> line.substring(line.indexOf(':') + 1).strip())
            .findFirst()
            .orElse(System.getProperty("os.arch"));
      } catch (IOException e) {
        return System.getProperty("os.arch");
      }
    }
    return System.getProperty("os.arch");
  }
}
