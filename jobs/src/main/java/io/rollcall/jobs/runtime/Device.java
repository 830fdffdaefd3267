package io.rollcall.jobs.runtime;

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
   * @param kernels the engine's word for what computes
   */
  public static String describe(String kernels) {
    return CPU + ", " + kernels;
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
