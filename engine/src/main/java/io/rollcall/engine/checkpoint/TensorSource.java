package io.rollcall.engine.checkpoint;

import io.rollcall.engine.UserException;
import io.rollcall.kernels.WeightType;
import java.nio.ByteBuffer;

/** Where a tensor lies in its checkpoint: a shape and a type, and bytes that are mapped when asked for. */
public final class TensorSource {
  private final ModelFiles files;
  private final String name;
  private final WeightType type;
  private final Safetensors.Entry entry;

  TensorSource(ModelFiles files, String name, WeightType type, Safetensors.Entry entry) {
    this.files = files;
    this.name = name;
    this.type = type;
    this.entry = entry;
  }

  public String name() {
    return name;
  }

  /** F32, F16 or BF16. */
  public WeightType type() {
    return type;
  }

  /** Of all elements as stored. */
  public long bytes() {
    return entry.length();
  }

  /**
   * A read-only view of a range of the elements' bytes.
   *
   * @param length at most 2^31 - 1
   */
  public ByteBuffer map(long offset, long length) {
    return files.map(entry.file(), entry.offset() + offset, length);
  }

  /** @throws UserException when it is too large for one view */
  public Tensor whole() {
    if (bytes() > Integer.MAX_VALUE) {
      throw new UserException(
          "tensor " + name + " of model '" + files.name() + "' has " + bytes() + " bytes; at most "
              + Integer.MAX_VALUE + " a tensor are supported on the CPU");
    }
    return new Tensor(type, map(0, bytes()));
  }
}
