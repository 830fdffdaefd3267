package io.rollcall.kernels.cuda;

import java.nio.ByteBuffer;

public final class CudaStream implements AutoCloseable {
  public CudaContext context() { throw new UnsupportedOperationException(); }
  public void launch(CudaKernel kernel, Launch launch, Object... arguments) { throw new UnsupportedOperationException(); }
  public void upload(DeviceBuffer to, long toOffset, PinnedBuffer from, long fromOffset, long bytes) { throw new UnsupportedOperationException(); }
  public void upload(DeviceBuffer to, long toOffset, ByteBuffer direct) { throw new UnsupportedOperationException(); }
  public void download(PinnedBuffer to, long toOffset, DeviceBuffer from, long fromOffset, long bytes) { throw new UnsupportedOperationException(); }
  public void copy(DeviceBuffer to, long toOffset, DeviceBuffer from, long fromOffset, long bytes) { throw new UnsupportedOperationException(); }
  public void zero(DeviceBuffer buffer, long offset, long bytes) { throw new UnsupportedOperationException(); }
  public void waitFor(CudaEvent event) { throw new UnsupportedOperationException(); }
  public CudaGraph capture(Runnable work) { throw new UnsupportedOperationException(); }
  public CudaGraph capture(String label, Runnable work) { throw new UnsupportedOperationException(); }
  public void synchronize() { throw new UnsupportedOperationException(); }
  @Override public void close() { throw new UnsupportedOperationException(); }
}
