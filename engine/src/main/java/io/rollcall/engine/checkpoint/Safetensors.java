package io.rollcall.engine.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import io.rollcall.engine.UserException;
import io.rollcall.kernels.WeightType;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Reads a safetensors file's header: 8 bytes of header length, that many bytes of JSON naming each
 * tensor's type, shape and range, then the tensors' bytes without gaps.
 */
final class Safetensors {
  private static final int PREFIX = Long.BYTES;
  /** No honest header comes near it; a file that claims more is something else. */
  private static final long MAX_HEADER = 100_000_000;

  /**
   * Where a tensor lies.
   *
   * @param type empty for a type that the engine cannot compute with
   * @param offset of its first byte in the file
   */
  record Entry(
      String file,
      String typeName,
      Optional<WeightType> type,
      List<Long> shape,
      long offset,
      long length) {}

  private final ModelFiles files;
  private final String file;
  private final long size;

  private Safetensors(ModelFiles files, String file) {
    this.files = files;
    this.file = file;
    this.size = files.size(file);
  }

  /** The tensors of a file, in header order. */
  static Map<String, Entry> entries(ModelFiles files, String file) {
    return new Safetensors(files, file).entries();
  }

  /** The engine's name of a safetensors type that it can hold. */
  static Optional<WeightType> type(String name) {
    return switch (name) {
      case "F32" -> Optional.of(WeightType.F32);
      case "F16" -> Optional.of(WeightType.F16);
      case "BF16" -> Optional.of(WeightType.BF16);
      default -> Optional.empty();
    };
  }

  private Map<String, Entry> entries() {
    long header = headerLength();
    long dataStart = PREFIX + header;
    Map<String, Entry> entries = new LinkedHashMap<>();
    long dataEnd = dataStart;
    for (Map.Entry<String, JsonNode> field : headerJson(header).root().properties()) {
      if (!field.getKey().equals("__metadata__")) {
        Entry entry = entry(field.getKey(), field.getValue(), dataStart);
        entries.put(field.getKey(), entry);
        dataEnd = Math.max(dataEnd, entry.offset() + entry.length());
      }
    }
    if (dataEnd != size) {
      throw broken(
          (size < dataEnd ? "is truncated" : "is corrupted") + ": expected " + dataEnd
              + " bytes, found " + size);
    }
    return entries;
  }

  private long headerLength() {
    if (size < PREFIX) {
      throw broken("is truncated: expected a header, found " + size + " bytes");
    }
    long length =
        files.map(file, 0, PREFIX).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
    if (length >= 2 && length <= MAX_HEADER) {
      if (PREFIX + length > size) {
        throw broken(
            "is truncated: expected a header of " + length + " bytes, found " + size + " bytes");
      }
      return length;
    }
    if (size < 1024
        && new String(files.read(file), StandardCharsets.UTF_8).startsWith("version ")) {
      throw new UserException(
          "file '" + file + "' of model '" + files.name()
              + "' is a Git LFS pointer, not weights; run 'git lfs pull' in the checkpoint");
    }
    throw broken(
        "is corrupted: expected a header of 2 to " + MAX_HEADER + " bytes, found a length of "
            + Long.toUnsignedString(length));
  }

  private JsonFile headerJson(long length) {
    byte[] json = new byte[Math.toIntExact(length)];
    files.map(file, PREFIX, length).get(json);
    try {
      return JsonFile.parse(files.name(), file, json);
    } catch (UserException e) {
      throw broken("is corrupted: expected a JSON header of " + length + " bytes, found other", e);
    }
  }

  private Entry entry(String name, JsonNode node, long dataStart) {
    String typeName = node.path("dtype").asText();
    List<Long> shape = new ArrayList<>();
    node.path("shape").forEach(extent -> shape.add(extent.asLong(-1)));
    long begin = node.path("data_offsets").path(0).asLong(-1);
    long end = node.path("data_offsets").path(1).asLong(-1);
    boolean sane =
        begin >= 0 && end >= begin && end < Long.MAX_VALUE - dataStart
            && shape.stream().allMatch(extent -> extent >= 0);
    if (!sane) {
      throw broken("is corrupted: the header entry of tensor " + name + " is " + node);
    }
    Optional<WeightType> type = type(typeName);
    if (type.isPresent() && !fills(type.get(), shape, end - begin)) {
      throw broken(
          "is corrupted: tensor " + name + " of " + typeName + " " + shape + " has "
              + (end - begin) + " bytes");
    }
    return new Entry(file, typeName, type, List.copyOf(shape), dataStart + begin, end - begin);
  }

  private static boolean fills(WeightType type, List<Long> shape, long bytes) {
    long elements = 1;
    for (long extent : shape) {
      if (extent > 0 && elements > Long.MAX_VALUE / 64 / extent) {
        return false;
      }
      elements *= extent;
    }
    return type.bytes(elements) == bytes;
  }

  private UserException broken(String what) {
    return broken(what, null);
  }

  private UserException broken(String what, Throwable cause) {
    return new UserException(
        "file '" + file + "' of model '" + files.name() + "' " + what + "; download it again",
        cause);
  }
}
