package io.rollcall.engine.runner.cuda;

import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.CudaEvent;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.PinnedBuffer;
import java.nio.ByteBuffer;
import java.util.stream.IntStream;

/**
 * Pinned buffers in turn between mapped files and the device: while one is on the bus, the next is
 * filled from the page cache, by several threads since one does not keep up with the bus.
 */
final class StagingRing implements AutoCloseable {
  /** Bytes of a buffer: the most of one upload. */
  static final int BYTES = 32 << 20;

  private static final int BUFFERS = 4;
  private static final int PIECE = 4 << 20;

  private final Allocations held;
  private final CudaStream stream;
  private final PinnedBuffer[] buffers = new PinnedBuffer[BUFFERS];
  private final CudaEvent[] uploaded = new CudaEvent[BUFFERS];
  private long uploads;

  StagingRing(CudaContext context, CudaStream stream) {
    this.stream = stream;
    held = new Allocations(context);
    try {
      for (int i = 0; i < BUFFERS; i++) {
        buffers[i] = held.pinned(BYTES);
        uploaded[i] = held.keep(context.newEvent());
      }
    } catch (RuntimeException e) {
      held.close();
      throw e;
    }
  }

  /**
   * Puts the copy on the stream; the source may be reused at once.
   *
   * @param source at most {@link #BYTES}, from position 0
   */
  void upload(ByteBuffer source, DeviceBuffer to, long offset) {
    int i = (int) (uploads % BUFFERS);
    if (uploads++ >= BUFFERS) {
      uploaded[i].synchronize();
    }
    int bytes = source.limit();
    ByteBuffer target = buffers[i].bytes();
    IntStream.range(0, (bytes + PIECE - 1) / PIECE)
        .parallel()
        .forEach(
            piece -> {
              int from = piece * PIECE;
              int length = Math.min(PIECE, bytes - from);
              target.slice(from, length).put(source.slice(from, length));
            });
    stream.upload(to, offset, buffers[i], 0, bytes);
    uploaded[i].record(stream);
  }

  /** The stream must be done with it. */
  @Override
  public void close() {
    held.close();
  }
}
