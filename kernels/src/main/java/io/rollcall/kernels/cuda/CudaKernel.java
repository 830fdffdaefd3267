package io.rollcall.kernels.cuda;

public final class CudaKernel {
  public String name() { throw new UnsupportedOperationException(); }
  public int blocksPerMultiprocessor(int threads, int sharedBytes) { throw new UnsupportedOperationException(); }
}
