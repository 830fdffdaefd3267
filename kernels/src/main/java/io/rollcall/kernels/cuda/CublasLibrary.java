package io.rollcall.kernels.cuda;

import com.sun.jna.NativeLibrary;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Finds libcublas on this machine: where it is said to be, where the loader looks, where toolkits and
 * Python packages put it. The newest major version within the first place that has one.
 */
final class CublasLibrary {
  private static final List<String> VERSIONS = List.of("13", "12", "11");

  /** Folders below a Python prefix; * stands for one folder of any name. */
  private static final List<String> PYTHON =
      List.of("lib/python3*/site-packages", "lib/python3*/dist-packages", "lib/python3/dist-packages");

  private static final List<String> WITHIN_PACKAGES =
      List.of("nvidia/cu13/lib", "nvidia/cublas/lib", "nvidia/cu12/lib", "torch/lib");

  private CublasLibrary() {}

  /**
   * What -Drollcall.cublas or ROLLCALL_CUBLAS says: a library, its folder, or {@code none}.
   *
   * @throws IllegalArgumentException if it is none of these
   */
  static Optional<NativeLibrary> find() {
    String said = System.getProperty("rollcall.cublas", System.getenv("ROLLCALL_CUBLAS"));
    if ("none".equals(said)) {
      return Optional.empty();
    }
    if (said != null && !said.isBlank()) {
      return Optional.of(load(said));
    }
    return Stream.concat(VERSIONS.stream().map(v -> "libcublas.so." + v), installed())
        .map(CublasLibrary::tryLoad)
        .flatMap(Optional::stream)
        .findFirst();
  }

  private static NativeLibrary load(String said) {
    Path path = Path.of(said);
    List<Path> candidates = Files.isDirectory(path) ? versionsIn(path) : List.of(path);
    return candidates.stream()
        .map(candidate -> tryLoad(candidate.toString()))
        .flatMap(Optional::stream)
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "rollcall.cublas: '%s' is no libcublas.so that loads, nor a folder of one, nor none"
                        .formatted(said)));
  }

  private static Optional<NativeLibrary> tryLoad(String name) {
    try {
      Path path = Path.of(name);
      if (path.isAbsolute()) {
        preloadLt(path);
      }
      NativeLibrary library = NativeLibrary.getInstance(name);
      library.getFunction("cublasGemmEx");
      return Optional.of(library);
    } catch (UnsatisfiedLinkError e) {
      return Optional.empty();
    }
  }

  /** libcublas needs libcublasLt of its own version; loaded by path first, it is found by its name. */
  private static void preloadLt(Path cublas) {
    String file = cublas.getFileName().toString();
    Path lt = cublas.resolveSibling(file.replace("libcublas.so", "libcublasLt.so"));
    if (!lt.equals(cublas) && Files.exists(lt)) {
      NativeLibrary.getInstance(lt.toString());
    }
  }

  private static Stream<String> installed() {
    List<Path> folders = new ArrayList<>();
    for (String home : List.of("CUDA_HOME", "CUDA_PATH")) {
      prefix(System.getenv(home)).ifPresent(path -> folders.addAll(toolkit(path)));
    }
    expand(Path.of("/usr/local"), "cuda*").forEach(path -> folders.addAll(toolkit(path)));
    folders.addAll(expand(Path.of("/usr/lib"), "*-linux-gnu"));
    for (String home : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
      prefix(System.getenv(home)).ifPresent(path -> folders.addAll(python(path)));
    }
    List<Path> prefixes = new ArrayList<>();
    prefixes.add(Path.of(System.getProperty("user.home"), ".local"));
    prefixes.addAll(List.of(Path.of("/usr/local"), Path.of("/usr")));
    prefixes.addAll(expand(Path.of("/opt"), "*"));
    prefixes.forEach(path -> folders.addAll(python(path)));
    return folders.stream().flatMap(folder -> versionsIn(folder).stream()).map(Path::toString);
  }

  private static Optional<Path> prefix(String variable) {
    return Optional.ofNullable(variable).filter(value -> !value.isBlank()).map(Path::of);
  }

  private static List<Path> toolkit(Path home) {
    List<Path> folders = new ArrayList<>(List.of(home.resolve("lib64")));
    folders.addAll(expand(home, "targets/*/lib"));
    return folders;
  }

  private static List<Path> python(Path prefix) {
    List<Path> folders = new ArrayList<>(List.of(prefix.resolve("lib")));
    for (String packages : PYTHON) {
      for (Path site : expand(prefix, packages)) {
        WITHIN_PACKAGES.forEach(folder -> folders.add(site.resolve(folder)));
      }
    }
    return folders;
  }

  private static List<Path> versionsIn(Path folder) {
    return VERSIONS.stream()
        .map(version -> folder.resolve("libcublas.so." + version).toAbsolutePath())
        .filter(Files::exists)
        .toList();
  }

  /** The folders that match, latest name first. */
  static List<Path> expand(Path root, String pattern) {
    List<Path> found = List.of(root);
    for (String part : pattern.split("/")) {
      found = found.stream().flatMap(folder -> children(folder, part)).toList();
    }
    return found;
  }

  private static Stream<Path> children(Path folder, String glob) {
    if (!Files.isDirectory(folder)) {
      return Stream.empty();
    }
    List<Path> matches = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder, glob)) {
      entries.forEach(matches::add);
    } catch (IOException e) {
      return Stream.empty();
    }
    return matches.stream().sorted(java.util.Comparator.reverseOrder());
  }
}
