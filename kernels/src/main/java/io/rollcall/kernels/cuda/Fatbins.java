package io.rollcall.kernels.cuda;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.GZIPInputStream;

/** The compiled kernels on the class path. */
final class Fatbins {
  private static final String INDEX = "fatbins.index";
  private static final String TOOLKIT = "# nvcc ";

  private Fatbins() {}

  /** Each file's contents by its name without ending, in the index's order. */
  static Map<String, byte[]> all() {
    Map<String, byte[]> images = new LinkedHashMap<>();
    for (String name : new String(read(INDEX), StandardCharsets.UTF_8).split("\n")) {
      if (!name.isBlank() && !name.startsWith("#")) {
        images.put(name, unpacked(read(name + ".fatbin.gz")));
      }
    }
    return images;
  }

  /** Which driver they need, in words. */
  static String requirement() {
    String toolkit =
        new String(read(INDEX), StandardCharsets.UTF_8)
            .lines()
            .filter(line -> line.startsWith(TOOLKIT))
            .map(line -> line.substring(TOOLKIT.length()))
            .findFirst()
            .orElse("unknown");
    return ("they were compiled by CUDA %s; install a driver of that CUDA or newer, "
            + "or build with an older nvcc")
        .formatted(toolkit);
  }

  private static byte[] unpacked(byte[] packed) {
    try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(packed))) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static byte[] read(String file) {
    try (InputStream in = Fatbins.class.getResourceAsStream(file)) {
      if (in == null) {
        throw new IllegalStateException(
            "the class path lacks io/rollcall/kernels/cuda/" + file + "; build with Maven");
      }
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
