package io.rollcall.kernels.cuda;

import jcuda.driver.CUevent;
import jcuda.driver.JCudaDriver;

/** A moment of a stream: when everything enqueued before it has been done. */
public final class CudaEvent implements AutoCloseable {
  private final CudaContext context;
  private final CUevent event;
  private CudaStream stream;
  private long mark;
  private boolean closed;

  CudaEvent(CudaContext context, CUevent event) {
    this.context = context;
    this.event = event;
  }

  public void record(CudaStream stream) {
    this.stream = stream;
    this.mark = stream.enqueued().mark();
    stream.enqueue(
        "recording an event", () -> JCudaDriver.cuEventRecord(event, stream.handle()));
  }

  /** Waits on the host. */
  public void synchronize() {
    context.use();
    context.check(JCudaDriver.cuEventSynchronize(event), "waiting for an event");
    if (stream != null) {
      stream.enqueued().doneTo(mark);
    }
  }

  /** Milliseconds of device time between two recorded events; waits for neither. */
  public static float millis(CudaEvent from, CudaEvent to) {
    from.context.use();
    float[] millis = {0};
    from.context.check(
        JCudaDriver.cuEventElapsedTime(millis, from.event, to.event), "timing two events");
    return millis[0];
  }

  CUevent handle() {
    return event;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      context.release(() -> JCudaDriver.cuEventDestroy(event));
    }
  }
}
