package io.rollcall.engine.sparsity;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.Tensor;
import io.rollcall.engine.checkpoint.TensorFile;
import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WeightType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;

/** Matrices in bf16, as the safetensors file beside a profile holds them. */
final class ProfileTensors {
  private ProfileTensors() {}

  /**
   * One extent of a matrix.
   *
   * @param dimension 0 for rows, 1 for columns
   * @param profile for messages
   * @throws UserException when the tensor is no matrix
   */
  static int extent(TensorFile tensors, String name, int dimension, String profile) {
    List<Long> shape = tensors.shape(name);
    if (shape.size() != 2 || shape.get(dimension) < 1) {
      throw new UserException(
          "tensor " + name + " of profile '" + profile + "' has shape " + shape
              + "; it must be a matrix");
    }
    return Math.toIntExact(shape.get(dimension));
  }

  static short[] bf16(Tensor tensor) {
    if (tensor.type() == WeightType.BF16) {
      short[] bits = new short[tensor.data().remaining() / 2];
      tensor.data().duplicate().order(ByteOrder.LITTLE_ENDIAN).asShortBuffer().get(bits);
      return bits;
    }
    return Bf16.round(tensor.floats());
  }

  static TensorFile.Shaped shaped(int rows, int columns, short[] bits) {
    return new TensorFile.Shaped(
        List.of((long) rows, (long) columns), new Tensor(WeightType.BF16, data(bits)));
  }

  /** For kernels on the heap. */
  static WeightMatrix matrix(int rows, int columns, short[] bits) {
    return WeightMatrix.of(WeightType.BF16, rows, columns, data(bits));
  }

  private static ByteBuffer data(short[] bits) {
    ByteBuffer data = ByteBuffer.allocate(2 * bits.length).order(ByteOrder.LITTLE_ENDIAN);
    data.asShortBuffer().put(bits);
    return data;
  }
}
