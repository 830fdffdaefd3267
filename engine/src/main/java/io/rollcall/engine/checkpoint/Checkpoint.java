package io.rollcall.engine.checkpoint;

import io.rollcall.engine.UserException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** The weights of a checkpoint: its tensors by name, from one safetensors file or from shards. */
public final class Checkpoint {
  private static final String SINGLE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";
  private static final int DIGEST_CHUNK = 1 << 26;

  private final ModelFiles files;
  private final List<String> weightFiles;
  private final Map<String, Safetensors.Entry> tensors;

  private Checkpoint(
      ModelFiles files, List<String> weightFiles, Map<String, Safetensors.Entry> tensors) {
    this.files = files;
    this.weightFiles = weightFiles;
    this.tensors = tensors;
  }

  /**
   * Reads the headers; tensors are read when asked for.
   *
   * @throws UserException for a file that is missing, truncated or corrupted
   */
  public static Checkpoint open(ModelFiles files) {
    List<String> weightFiles = files.has(INDEX) ? shards(files) : List.of(single(files));
    Map<String, Safetensors.Entry> tensors = new LinkedHashMap<>();
    weightFiles.forEach(file -> tensors.putAll(Safetensors.entries(files, file)));
    return new Checkpoint(files, weightFiles, tensors);
  }

  private static String single(ModelFiles files) {
    if (!files.has(SINGLE)) {
      throw new UserException(
          "model '" + files.name() + "' has neither " + SINGLE + " nor " + INDEX
              + "; only safetensors checkpoints can be read");
    }
    return SINGLE;
  }

  private static List<String> shards(ModelFiles files) {
    TreeSet<String> shards = new TreeSet<>();
    JsonFile.read(files, INDEX).object("weight_map").root().forEach(n -> shards.add(n.asText()));
    for (String shard : shards) {
      if (!files.has(shard)) {
        throw new UserException(
            "model '" + files.name() + "' has no " + shard + ", one of the " + shards.size()
                + " shards that " + INDEX + " names; download it");
      }
    }
    return List.copyOf(shards);
  }

  public boolean has(String tensor) {
    return tensors.containsKey(tensor);
  }

  /** As {@link #locate}, and the view of all its bytes. */
  public Tensor tensor(String name, int... shape) {
    return locate(name, shape).whole();
  }

  /**
   * Where a tensor lies.
   *
   * @param shape what it must be
   * @throws UserException when it is missing, of another shape or of a type that cannot be computed
   *     with
   */
  public TensorSource locate(String name, int... shape) {
    Safetensors.Entry entry = tensors.get(name);
    if (entry == null) {
      throw new UserException(
          "model '" + files.name() + "' has no tensor " + name + " in "
              + String.join(", ", weightFiles) + "; download it again");
    }
    List<Long> expected = Arrays.stream(shape).asLongStream().boxed().toList();
    if (!entry.shape().equals(expected)) {
      throw new UserException(
          "tensor " + name + " of model '" + files.name() + "' has shape " + entry.shape()
              + " where config.json makes it " + expected + "; download both again");
    }
    if (entry.type().isEmpty()) {
      throw new UserException(
          "tensor " + name + " of model '" + files.name() + "' has type " + entry.typeName()
              + "; supported are F32, F16 and BF16: use a checkpoint that is not quantised");
    }
    return new TensorSource(files, name, entry.type().get(), entry);
  }

  /**
   * Hex SHA-256 of what {@code sha256sum} prints for config.json and the weight files in name
   * order: {@code sha256sum config.json model*.safetensors | sha256sum}. Files are read in parallel.
   */
  public String digest() {
    List<String> all =
        Stream.concat(Stream.of("config.json"), weightFiles.stream()).toList();
    String sums =
        all.parallelStream()
            .map(file -> hex(sha256(file)) + "  " + file + "\n")
            .collect(Collectors.joining());
    MessageDigest digest = sha256();
    return hex(digest.digest(sums.getBytes(StandardCharsets.UTF_8)));
  }

  private byte[] sha256(String file) {
    MessageDigest digest = sha256();
    long size = files.size(file);
    for (long offset = 0; offset < size; offset += DIGEST_CHUNK) {
      digest.update(files.map(file, offset, Math.min(DIGEST_CHUNK, size - offset)));
    }
    return digest.digest();
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }

  private static String hex(byte[] bytes) {
    return HexFormat.of().formatHex(bytes);
  }
}
