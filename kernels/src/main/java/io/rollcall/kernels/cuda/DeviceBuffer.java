package io.rollcall.kernels.cuda;

public final class DeviceBuffer implements AutoCloseable {
  public long address() { throw new UnsupportedOperationException(); }
  public long bytes() { throw new UnsupportedOperationException(); }
  public DeviceBuffer slice(long offset, long bytes) { throw new UnsupportedOperationException(); }
  @Override public void close() { throw new UnsupportedOperationException(); }
}
