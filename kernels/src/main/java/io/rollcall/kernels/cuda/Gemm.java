package io.rollcall.kernels.cuda;

/**
 * Dense products of many rows, row-major, f16 inputs, sums in f32. Work is put on the stream that
 * the instance was made with.
 *
 * <p>Leading dimensions count elements from a row to the next. C is overwritten where beta is 0 and
 * added to where it is 1.
 */
public interface Gemm extends AutoCloseable {

  /** What computes, and its version, for logs. */
  String version();

  /**
   * C[m x n] = alpha A[m x k] B[n x k]^T + beta C.
   *
   * @param a f16
   * @param b f16
   * @param cIsF32 whether C is f32, else f16
   * @param m at least 1
   * @param n a multiple of 64
   * @param k likewise
   * @param beta 0 or 1
   */
  void multiplyTransposed(
      DeviceBuffer a, int lda, DeviceBuffer b, int ldb, DeviceBuffer c, int ldc, boolean cIsF32,
      int m, int n, int k, float alpha, float beta);

  /** C[m x n] = alpha A[m x k] B[k x n] + beta C; arguments as above. */
  void multiply(
      DeviceBuffer a, int lda, DeviceBuffer b, int ldb, DeviceBuffer c, int ldc, boolean cIsF32,
      int m, int n, int k, float alpha, float beta);

  /** The same over contiguous matrices, alpha 1. */
  default void multiplyTransposed(
      DeviceBuffer a, DeviceBuffer b, DeviceBuffer c, boolean cIsF32, int m, int n, int k,
      float beta) {
    multiplyTransposed(a, k, b, k, c, n, cIsF32, m, n, k, 1, beta);
  }

  /** The same over contiguous matrices, alpha 1. */
  default void multiply(
      DeviceBuffer a, DeviceBuffer b, DeviceBuffer c, boolean cIsF32, int m, int n, int k,
      float beta) {
    multiply(a, k, b, n, c, n, cIsF32, m, n, k, 1, beta);
  }

  @Override
  void close();
}
