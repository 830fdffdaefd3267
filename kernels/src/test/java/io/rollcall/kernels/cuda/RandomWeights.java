package io.rollcall.kernels.cuda;

import io.rollcall.kernels.WeightType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Random;
import java.util.function.Consumer;

/** Random data for benchmarks: zeros would let a device run faster than data does. */
final class RandomWeights {
  private final CudaContext context;
  private final CudaStream stream;
  private final DeviceBuffer noise;
  private final DeviceBuffer scales;

  RandomWeights(CudaContext context, CudaStream stream) {
    this.context = context;
    this.stream = stream;
    Random random = new Random(1);
    // odd lengths keep rows from repeating
    noise =
        upload(
            4_000_037,
            2,
            buffer -> {
              int bits = Float.floatToRawIntBits((float) random.nextGaussian() / 64);
              buffer.putShort((short) (bits >>> 16));
            });
    // f16 of about 1e-4
    scales =
        upload(1_000_003, 2, buffer -> buffer.putShort((short) (0x0600 + random.nextInt(0x100))));
  }

  DeviceMatrix matrix(WeightType type, int rows, int columns) {
    DeviceMatrix matrix = DeviceMatrix.allocate(context, "weights", type, rows, columns);
    fill(matrix.elements());
    if (matrix.scales() != null) {
      fill(matrix.scales(), scales);
    }
    stream.synchronize();
    return matrix;
  }

  void fill(DeviceBuffer buffer) {
    fill(buffer, noise);
  }

  private void fill(DeviceBuffer buffer, DeviceBuffer with) {
    for (long at = 0; at < buffer.bytes(); at += with.bytes()) {
      stream.copy(buffer, at, with, 0, Math.min(with.bytes(), buffer.bytes() - at));
    }
  }

  DeviceBuffer upload(int elements, int size, Consumer<ByteBuffer> put) {
    ByteBuffer bytes = ByteBuffer.allocateDirect(elements * size).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < elements; i++) {
      put.accept(bytes);
    }
    bytes.flip();
    DeviceBuffer buffer = context.allocate("a benchmark's data", bytes.limit());
    stream.upload(buffer, 0, bytes);
    stream.synchronize();
    return buffer;
  }
}
