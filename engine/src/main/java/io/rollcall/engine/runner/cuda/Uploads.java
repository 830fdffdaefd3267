package io.rollcall.engine.runner.cuda;

import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;
import io.rollcall.kernels.cuda.Elementwise;
import io.rollcall.kernels.cuda.Quantiser;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Small arrays on their way to buffers of their own. */
final class Uploads {
  private Uploads() {}

  static DeviceBuffer floats(
      Allocations held, CudaStream stream, String what, float[] values) {
    return upload(held, stream, what, bytes(values));
  }

  static DeviceBuffer ints(Allocations held, CudaStream stream, String what, int[] values) {
    ByteBuffer bytes = direct(Integer.BYTES * values.length);
    bytes.asIntBuffer().put(values);
    return upload(held, stream, what, bytes);
  }

  /** The matrix of these bf16 bits. */
  static DeviceMatrix matrix(
      Allocations held, CudaStream stream, Elementwise elementwise, int rows, int columns,
      short[] elements) {
    ByteBuffer bytes = direct(Short.BYTES * elements.length);
    bytes.asShortBuffer().put(elements);
    DeviceBuffer buffer = upload(held, stream, "low-rank factors", bytes);
    DeviceBuffer beyond = held.device("the range of low-rank factors", Integer.BYTES);
    elementwise.toF16(stream, WeightType.BF16, buffer, buffer, elements.length, beyond);
    return new DeviceMatrix(WeightType.F16, rows, columns, buffer, null);
  }

  /** The same, quantised on the device as {@link io.rollcall.kernels.WeightMatrix#quantise} would. */
  static DeviceMatrix quantised(
      Allocations held, CudaStream stream, WeightType type, int rows, int columns, short[] elements) {
    DeviceMatrix matrix =
        new DeviceMatrix(
            type,
            rows,
            columns,
            held.device("low-rank factors", DeviceMatrix.elementBytes(type, rows, columns)),
            held.device("low-rank factors", DeviceMatrix.scaleBytes(type, rows, columns)));
    ByteBuffer bytes = direct(Short.BYTES * elements.length);
    bytes.asShortBuffer().put(elements);
    try (DeviceBuffer stored = held.context().allocate("low-rank factors", bytes.capacity())) {
      stream.upload(stored, 0, bytes);
      new Quantiser(held.context()).quantise(stream, WeightType.BF16, stored, matrix);
      stream.synchronize();
    }
    return matrix;
  }

  /** Direct, as a stream takes it. */
  static ByteBuffer bytes(float[] values) {
    ByteBuffer bytes = direct(Float.BYTES * values.length);
    bytes.asFloatBuffer().put(values);
    return bytes;
  }

  static ByteBuffer direct(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static DeviceBuffer upload(
      Allocations held, CudaStream stream, String what, ByteBuffer bytes) {
    DeviceBuffer buffer = held.device(what, bytes.capacity());
    stream.upload(buffer, 0, bytes);
    return buffer;
  }
}
