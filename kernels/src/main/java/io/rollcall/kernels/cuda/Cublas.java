package io.rollcall.kernels.cuda;

import java.util.Optional;

public final class Cublas implements AutoCloseable {
  public static Optional<Cublas> open(CudaContext context, CudaStream stream) { throw new UnsupportedOperationException(); }
  public String version() { throw new UnsupportedOperationException(); }
  public void multiplyTransposed(DeviceBuffer a, DeviceBuffer b, DeviceBuffer c, boolean cIsF32, int m, int n, int k, float beta) { throw new UnsupportedOperationException(); }
  public void multiplyTransposed(DeviceBuffer a, int lda, DeviceBuffer b, int ldb, DeviceBuffer c, int ldc, boolean cIsF32, int m, int n, int k, float beta) { throw new UnsupportedOperationException(); }
  public void multiply(DeviceBuffer a, DeviceBuffer b, DeviceBuffer c, boolean cIsF32, int m, int n, int k, float beta) { throw new UnsupportedOperationException(); }
  public void multiply(DeviceBuffer a, int lda, DeviceBuffer b, int ldb, DeviceBuffer c, int ldc, boolean cIsF32, int m, int n, int k, float beta) { throw new UnsupportedOperationException(); }
  @Override public void close() { throw new UnsupportedOperationException(); }
}
