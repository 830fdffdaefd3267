package io.rollcall.kernels.cuda;

/** Dense products by kernels of this module, for nodes without cuBLAS. */
public final class TensorCoreGemm implements Gemm {
  private static final int TILE = 128;
  private static final int THREADS = 128;
  private static final int SHARED_BYTES = 64 * 1024;
  /** Elements of 16 bytes, on which rows must begin. */
  private static final int ALIGNED = 8;

  private final CudaContext context;
  private final CudaStream stream;

  /** @param stream that products are put on */
  public TensorCoreGemm(CudaContext context, CudaStream stream) {
    this.context = context;
    this.stream = stream;
  }

  @Override
  public String version() {
    return "Rollcall's tensor-core kernels";
  }

  @Override
  public void multiplyTransposed(
      DeviceBuffer a, int lda, DeviceBuffer b, int ldb, DeviceBuffer c, int ldc, boolean cIsF32,
      int m, int n, int k, float alpha, float beta) {
    launch("gemm_nt_", a, lda, b, ldb, c, ldc, cIsF32, m, n, k, alpha, beta);
  }

  @Override
  public void multiply(
      DeviceBuffer a, int lda, DeviceBuffer b, int ldb, DeviceBuffer c, int ldc, boolean cIsF32,
      int m, int n, int k, float alpha, float beta) {
    launch("gemm_nn_", a, lda, b, ldb, c, ldc, cIsF32, m, n, k, alpha, beta);
  }

  private void launch(
      String kernel, DeviceBuffer a, int lda, DeviceBuffer b, int ldb, DeviceBuffer c, int ldc,
      boolean cIsF32, int m, int n, int k, float alpha, float beta) {
    if (m < 1 || n < 64 || k < 64 || n % 64 != 0 || k % 64 != 0) {
      throw new IllegalArgumentException(
          "a product of m " + m + ", n " + n + ", k " + k + ": m must be positive, n and k multiples of 64");
    }
    if (lda % ALIGNED != 0 || ldb % ALIGNED != 0 || ldc % 2 != 0) {
      throw new IllegalArgumentException(
          "leading dimensions " + lda + ", " + ldb + ", " + ldc
              + ": A's and B's must be multiples of 8, C's even");
    }
    if (beta != 0 && beta != 1) {
      throw new IllegalArgumentException("beta must be 0 or 1, not " + beta);
    }
    int blocks = Math.multiplyExact((m + TILE - 1) / TILE, (n + TILE - 1) / TILE);
    stream.launch(
        context.kernel(kernel + (cIsF32 ? "f32" : "f16")),
        Launch.of(blocks, THREADS).withShared(SHARED_BYTES).withOverlap(),
        a, lda, b, ldb, c, ldc, m, n, k, alpha, (int) beta);
  }

  @Override
  public void close() {}
}
