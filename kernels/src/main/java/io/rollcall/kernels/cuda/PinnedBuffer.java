package io.rollcall.kernels.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jcuda.Pointer;

/** Page-locked host memory, which copies reach asynchronously and at the bus's full rate. */
public final class PinnedBuffer implements AutoCloseable {
  private final CudaContext context;
  private final Pointer pointer;
  private final ByteBuffer bytes;
  private boolean closed;

  PinnedBuffer(CudaContext context, Pointer pointer, long bytes) {
    this.context = context;
    this.pointer = pointer;
    this.bytes = pointer.getByteBuffer(0, bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** A view of all of it, direct, little-endian; gone when this or the context is closed. */
  public ByteBuffer bytes() {
    if (closed) {
      throw new IllegalStateException("this pinned memory has been freed");
    }
    return bytes.duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  Pointer at(long offset, long length) {
    if (offset < 0 || length < 0 || length > bytes.capacity() - offset) {
      throw new IndexOutOfBoundsException(
          "%d bytes from %d of pinned memory of %d bytes"
              .formatted(length, offset, bytes.capacity()));
    }
    if (closed) {
      throw new IllegalStateException("this pinned memory has been freed");
    }
    return pointer.withByteOffset(offset);
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      context.free(pointer);
    }
  }
}
