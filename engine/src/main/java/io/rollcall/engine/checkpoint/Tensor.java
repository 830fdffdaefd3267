package io.rollcall.engine.checkpoint;

import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WeightType;
import java.nio.ByteBuffer;

/**
 * A tensor as a checkpoint stores it.
 *
 * @param type F32, F16 or BF16
 * @param data little-endian elements, row-major, from position 0
 */
public record Tensor(WeightType type, ByteBuffer data) {

  /** All elements in f32. */
  public float[] floats() {
    int elements = Math.toIntExact(data.remaining() / type.bytes(1));
    float[] values = new float[elements];
    WeightMatrix.of(type, 1, elements, data).row(0, values, 0);
    return values;
  }
}
