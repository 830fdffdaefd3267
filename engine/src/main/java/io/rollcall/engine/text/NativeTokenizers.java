package io.rollcall.engine.text;

import ai.djl.huggingface.tokenizers.jni.LibUtils;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import io.rollcall.engine.UserException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Loads the native tokenizers library once a process. Left alone, DJL unpacks it to a cache that all
 * processes of a user share, may download a build for the node's GPU and may send telemetry. Here
 * each process unpacks the CPU build from the jar to a directory of its own and removes it once
 * loaded: nothing is needed of HOME, and nothing is shared.
 */
final class NativeTokenizers {
  private static TokenizersLibrary loaded;

  private NativeTokenizers() {}

  /** @throws UserException when it cannot be unpacked or loaded */
  static synchronized TokenizersLibrary library() {
    if (loaded == null) {
      loaded = load();
    }
    return loaded;
  }

  private static TokenizersLibrary load() {
    Path directory = temporaryDirectory();
    Thread thread = Thread.currentThread();
    ClassLoader context = thread.getContextClassLoader();
    Map<String, String> previous = new LinkedHashMap<>();
    try {
      thread.setContextClassLoader(TokenizersLibrary.class.getClassLoader());
      set(previous, "ai.djl.offline", "true");
      set(previous, "ENGINE_CACHE_DIR", directory.toString());
      set(previous, "jna.tmpdir", directory.toString());
      LibUtils.checkStatus();
      return TokenizersLibrary.LIB;
    } catch (LinkageError | RuntimeException e) {
      throw new UserException(
          "cannot load the native tokenizers library from '" + directory + "' ("
              + rootCause(e).getMessage()
              + "); it needs glibc Linux, macOS or Windows and a java.io.tmpdir that is writable and"
              + " not mounted noexec",
          e);
    } finally {
      previous.forEach(NativeTokenizers::restore);
      thread.setContextClassLoader(context);
      delete(directory);
    }
  }

  private static Path temporaryDirectory() {
    try {
      return Files.createTempDirectory("rollcall-tokenizers");
    } catch (IOException e) {
      throw new UserException(
          "cannot unpack the native tokenizers library: java.io.tmpdir '"
              + System.getProperty("java.io.tmpdir")
              + "' is not writable; set -Djava.io.tmpdir to a directory that is",
          e);
    }
  }

  private static void set(Map<String, String> previous, String property, String value) {
    previous.put(property, System.getProperty(property));
    System.setProperty(property, value);
  }

  private static void restore(String property, String value) {
    if (value == null) {
      System.clearProperty(property);
    } else {
      System.setProperty(property, value);
    }
  }

  private static Throwable rootCause(Throwable e) {
    return e.getCause() == null ? e : rootCause(e.getCause());
  }

  /** What cannot be deleted (a loaded library on Windows) is left to the system's clean-up. */
  private static void delete(Path directory) {
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    } catch (IOException | UncheckedIOException e) {
      directory.toFile().deleteOnExit();
    }
  }
}
