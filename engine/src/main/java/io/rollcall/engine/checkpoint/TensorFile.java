package io.rollcall.engine.checkpoint;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.rollcall.engine.UserException;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

/** One safetensors file that is no checkpoint, held in memory. */
public final class TensorFile {

  /**
   * A tensor to write.
   *
   * @param tensor whose data fill the shape
   */
  public record Shaped(List<Long> shape, Tensor tensor) {}

  private final ModelFiles files;
  private final String file;
  private final Map<String, Safetensors.Entry> entries;

  private TensorFile(ModelFiles files, String file) {
    this.files = files;
    this.file = file;
    entries = Safetensors.entries(files, file);
  }

  /**
   * @param owner what the file belongs to, for messages
   * @throws UserException when it is truncated or corrupted
   */
  public static TensorFile of(String owner, String file, byte[] content) {
    return new TensorFile(new InMemory(owner, file, content), file);
  }

  public boolean has(String tensor) {
    return entries.containsKey(tensor);
  }

  /** @throws UserException when there is no such tensor */
  public List<Long> shape(String tensor) {
    return entry(tensor).shape();
  }

  /** @throws UserException when there is no such tensor, or it is not of floats */
  public Tensor tensor(String name) {
    Safetensors.Entry entry = entry(name);
    return new Tensor(
        entry
            .type()
            .orElseThrow(
                () -> new UserException("tensor " + name + " of '" + file + "' is not of floats")),
        files.map(file, entry.offset(), entry.length()));
  }

  private Safetensors.Entry entry(String name) {
    if (!has(name)) {
      throw new UserException("file '" + file + "' of '" + files.name() + "' has no tensor " + name);
    }
    return entries.get(name);
  }

  /** A safetensors file of these tensors, in order. */
  public static byte[] write(Map<String, Shaped> tensors) {
    ObjectNode header = new ObjectMapper().createObjectNode();
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    tensors.forEach(
        (name, shaped) -> {
          int begin = data.size();
          byte[] bytes = new byte[shaped.tensor().data().remaining()];
          shaped.tensor().data().duplicate().get(bytes);
          data.writeBytes(bytes);
          ObjectNode entry = header.putObject(name).put("dtype", shaped.tensor().type().name());
          ArrayNode shape = entry.putArray("shape");
          shaped.shape().forEach(shape::add);
          entry.putArray("data_offsets").add(begin).add(data.size());
        });
    byte[] text = header.toString().getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(Long.BYTES + text.length + data.size())
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(text.length)
        .put(text)
        .put(data.toByteArray())
        .array();
  }

  private record InMemory(String name, String file, byte[] content) implements ModelFiles {
    @Override
    public List<String> list() {
      return List.of(file);
    }

    @Override
    public long size(String file) {
      return content.length;
    }

    @Override
    public byte[] read(String file) {
      return content.clone();
    }

    @Override
    public ByteBuffer map(String file, long offset, long length) {
      return ByteBuffer.wrap(content, Math.toIntExact(offset), Math.toIntExact(length))
          .slice()
          .asReadOnlyBuffer()
          .order(ByteOrder.LITTLE_ENDIAN);
    }
  }
}
