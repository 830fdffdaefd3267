package io.rollcall.kernels.cuda;

public final class CudaGraph implements AutoCloseable {
  public void launch(CudaStream stream) { throw new UnsupportedOperationException(); }
  public int kernels() { throw new UnsupportedOperationException(); }
  @Override public void close() { throw new UnsupportedOperationException(); }
}
