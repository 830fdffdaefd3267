package io.rollcall.engine.checkpoint;

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
    float[] values = new float[Math.toIntExact(data.remaining() * 8L / bits())];
    for (int i = 0; i < values.length; i++) {
      values[i] =
          switch (type) {
            case F32 -> data.getFloat(4 * i);
            case BF16 -> Float.intBitsToFloat(data.getShort(2 * i) << 16);
            case F16 -> half(data.getShort(2 * i));
            default -> throw new IllegalStateException("a checkpoint holds no " + type);
          };
    }
    return values;
  }

  private int bits() {
    return type == WeightType.F32 ? 32 : 16;
  }

  /** IEEE 754 binary16 to f32; Java has it built in only from 20. */
  private static float half(short bits) {
    int magnitude = bits & 0x7fff;
    float value;
    if (magnitude >= 0x7c00) {
      value = magnitude == 0x7c00 ? Float.POSITIVE_INFINITY : Float.NaN;
    } else if (magnitude < 0x0400) {
      value = magnitude * 0x1p-24f;
    } else {
      value = Float.intBitsToFloat((magnitude << 13) + (112 << 23));
    }
    return bits < 0 ? -value : value;
  }
}
