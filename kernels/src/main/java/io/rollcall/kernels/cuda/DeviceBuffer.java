package io.rollcall.kernels.cuda;

import jcuda.driver.CUdeviceptr;

/** Device memory, or a part of it. Closing the whole frees it; a slice frees nothing. */
public final class DeviceBuffer implements AutoCloseable {
  private final CudaContext context;
  private final CUdeviceptr base;
  private final long start;
  private final long offset;
  private final long bytes;
  private final DeviceBuffer whole;
  private volatile boolean closed;

  DeviceBuffer(CudaContext context, CUdeviceptr base, long bytes) {
    this.context = context;
    this.base = base;
    this.start = Handle.of(base);
    this.offset = 0;
    this.bytes = bytes;
    this.whole = this;
  }

  private DeviceBuffer(DeviceBuffer whole, long offset, long bytes) {
    this.context = whole.context;
    this.base = whole.base;
    this.start = whole.start;
    this.offset = offset;
    this.bytes = bytes;
    this.whole = whole;
  }

  /** On the device; 256-byte aligned for a whole allocation. */
  public long address() {
    if (whole.closed) {
      throw new IllegalStateException("this device memory has been freed");
    }
    return start + offset;
  }

  public long bytes() {
    return bytes;
  }

  /** The part that begins {@code offset} bytes from here. */
  public DeviceBuffer slice(long offset, long bytes) {
    checkRange(offset, bytes);
    return new DeviceBuffer(whole, this.offset + offset, bytes);
  }

  /** For JCuda. */
  CUdeviceptr at(long offset, long bytes) {
    checkRange(offset, bytes);
    address();
    return base.withByteOffset(this.offset + offset);
  }

  private void checkRange(long offset, long bytes) {
    if (offset < 0 || bytes < 0 || bytes > this.bytes - offset) {
      throw new IndexOutOfBoundsException(
          "%d bytes from %d of device memory of %d bytes".formatted(bytes, offset, this.bytes));
    }
  }

  @Override
  public void close() {
    if (whole != this || closed) {
      return;
    }
    closed = true;
    context.free(base);
  }
}
