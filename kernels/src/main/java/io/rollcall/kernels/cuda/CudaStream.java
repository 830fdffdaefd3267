package io.rollcall.kernels.cuda;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntSupplier;
import jcuda.Pointer;
import jcuda.driver.CUgraph;
import jcuda.driver.CUgraphExec;
import jcuda.driver.CUstream;
import jcuda.driver.CUstreamCaptureMode;
import jcuda.driver.JCudaDriver;

/**
 * A queue of device work. Everything but {@link #synchronize()} returns before the device is done.
 * Used by one thread at a time.
 *
 * <p>With {@code -Drollcall.cuda.check=true} or {@code ROLLCALL_CUDA_CHECK=1} each piece of work is
 * waited for and graphs are replayed launch by launch, so that a fault names the very kernel.
 */
public final class CudaStream implements AutoCloseable {
  private final CudaContext context;
  private final CUstream stream;
  private final LaunchBlock block;
  private final Enqueued enqueued = new Enqueued();
  private boolean closed;

  /** While work is captured: its kernels. Else null. */
  private List<Enqueued.Work> captured;

  /** While work is captured in checked mode: what was asked for, to be done at each launch. */
  private List<Runnable> recorded;

  CudaStream(CudaContext context, CUstream stream) {
    this.context = context;
    this.stream = stream;
    this.block = new LaunchBlock(Handle.of(stream));
  }

  public CudaContext context() {
    return context;
  }

  /** Whether L2 keeps, from now on, what kernels read and write in this memory. */
  boolean keep(DeviceBuffer memory) {
    context.use();
    return Libcuda.cuStreamSetAttribute(
            Handle.of(stream), LaunchBlock.ACCESS_POLICY_WINDOW, block.window(memory))
        == 0;
  }

  /**
   * Launches a kernel.
   *
   * @param arguments Integer for a 32-bit int, Long for 64 bits, Float, DeviceBuffer for its address,
   *     null for a null address, Object[] for several in its place; where the driver can tell (from CUDA 12.4 on), number and sizes are
   *     checked against the compiled kernel
   */
  public void launch(CudaKernel kernel, Launch launch, Object... arguments) {
    context.use();
    if (kernel.context() != context) {
      throw new IllegalArgumentException("kernel " + kernel + " belongs to another context");
    }
    if (captured != null) {
      captured.add(new Enqueued.Work(kernel, launch));
    }
    if (recorded != null) {
      Object[] kept = arguments.clone();
      recorded.add(() -> launchNow(kernel, launch, kept));
    } else {
      launchNow(kernel, launch, arguments);
    }
  }

  private void launchNow(CudaKernel kernel, Launch launch, Object[] arguments) {
    kernel.prepare(launch.sharedBytes());
    block.shape(launch, launch.overlapping() && context.overlaps());
    block.arguments(kernel.name(), kernel.parameterSizes(), arguments);
    int code = Libcuda.cuLaunchKernelEx(block.config(), kernel.handle(), block.parameters(), 0);
    if (captured == null) {
      enqueued.add(kernel, launch);
    }
    if (code != 0) {
      throw context.failure(code, "launching kernel %s [%s]".formatted(kernel, launch));
    }
    if (context.checked()) {
      settle(() -> "kernel %s [%s]".formatted(kernel, launch));
    }
  }

  void launch(CudaGraph graph) {
    context.use();
    if (graph.replay() != null) {
      if (recorded != null) {
        throw new IllegalStateException("a graph cannot be launched while work is captured");
      }
      graph.replay().forEach(Runnable::run);
      return;
    }
    int code = JCudaDriver.cuGraphLaunch(graph.executable(), stream);
    enqueued.add(graph, null);
    if (code != 0) {
      throw context.failure(code, "launching " + graph);
    }
  }

  /** From page-locked memory, which must not change until the copy is done. Offsets and bytes: bytes. */
  public void upload(
      DeviceBuffer to, long toOffset, PinnedBuffer from, long fromOffset, long bytes) {
    Pointer source = from.at(fromOffset, bytes);
    var target = to.at(toOffset, bytes);
    enqueue(
        "uploading " + bytes + " bytes",
        () -> JCudaDriver.cuMemcpyHtoDAsync(target, source, bytes, stream));
  }

  /**
   * From position to limit of a direct buffer in ordinary memory, a mapped file for one; the position
   * stays. Returns when the source may be reused. Not while work is captured.
   */
  public void upload(DeviceBuffer to, long toOffset, ByteBuffer direct) {
    if (!direct.isDirect()) {
      throw new IllegalArgumentException("the buffer must be direct");
    }
    if (captured != null) {
      throw new IllegalStateException("ordinary memory cannot be uploaded while work is captured");
    }
    long bytes = direct.remaining();
    Pointer source = Pointer.toBuffer(direct.duplicate());
    var target = to.at(toOffset, bytes);
    enqueue(
        "uploading " + bytes + " bytes",
        () -> JCudaDriver.cuMemcpyHtoDAsync(target, source, bytes, stream));
  }

  public void download(
      PinnedBuffer to, long toOffset, DeviceBuffer from, long fromOffset, long bytes) {
    Pointer target = to.at(toOffset, bytes);
    var source = from.at(fromOffset, bytes);
    enqueue(
        "downloading " + bytes + " bytes",
        () -> JCudaDriver.cuMemcpyDtoHAsync(target, source, bytes, stream));
  }

  /** On the device; the ranges must not overlap. */
  public void copy(DeviceBuffer to, long toOffset, DeviceBuffer from, long fromOffset, long bytes) {
    var target = to.at(toOffset, bytes);
    var source = from.at(fromOffset, bytes);
    enqueue(
        "copying " + bytes + " bytes",
        () -> JCudaDriver.cuMemcpyDtoDAsync(target, source, bytes, stream));
  }

  public void zero(DeviceBuffer buffer, long offset, long bytes) {
    var target = buffer.at(offset, bytes);
    enqueue(
        "zeroing " + bytes + " bytes",
        () -> JCudaDriver.cuMemsetD8Async(target, (byte) 0, bytes, stream));
  }

  /** What is enqueued from now on starts after the event, which another stream may have recorded. */
  public void waitFor(CudaEvent event) {
    enqueue(
        "waiting for an event", () -> JCudaDriver.cuStreamWaitEvent(stream, event.handle(), 0));
  }

  /**
   * Does the driver's call now or, in checked mode while work is captured, at each launch of the graph.
   *
   * @param what names it in a fault's message
   */
  void enqueue(Object what, IntSupplier call) {
    context.use();
    if (recorded != null) {
      recorded.add(() -> enqueueNow(what, call));
    } else {
      enqueueNow(what, call);
    }
  }

  private void enqueueNow(Object what, IntSupplier call) {
    int code = call.getAsInt();
    if (code != 0) {
      throw context.failure(code, what.toString());
    }
    if (context.checked()) {
      settle(what::toString);
    }
  }

  private void settle(java.util.function.Supplier<String> what) {
    int code = JCudaDriver.cuStreamSynchronize(stream);
    enqueued.doneTo(enqueued.mark());
    if (code != 0) {
      throw context.failure(code, what.get());
    }
  }

  public CudaGraph capture(Runnable work) {
    return capture("captured", work);
  }

  /**
   * Collects what {@code work} gives this stream into a graph instead of doing it. The stream must not
   * be waited for meanwhile; other threads and streams are free.
   *
   * @param label what a fault's message calls it
   */
  public CudaGraph capture(String label, Runnable work) {
    context.use();
    if (captured != null) {
      throw new IllegalStateException("the stream is being captured already");
    }
    captured = new ArrayList<>();
    try {
      return context.checked() ? record(label, work) : captureNow(label, work);
    } finally {
      captured = null;
      recorded = null;
    }
  }

  private CudaGraph record(String label, Runnable work) {
    recorded = new ArrayList<>();
    work.run();
    return new CudaGraph(context, label, captured, null, List.copyOf(recorded));
  }

  private CudaGraph captureNow(String label, Runnable work) {
    context.check(
        JCudaDriver.cuStreamBeginCapture(
            stream, CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_RELAXED),
        "capturing graph '" + label + "'");
    CUgraph graph = new CUgraph();
    int ended;
    boolean worked = false;
    try {
      work.run();
      worked = true;
    } finally {
      ended = JCudaDriver.cuStreamEndCapture(stream, graph);
      if (!worked && ended == 0) {
        JCudaDriver.cuGraphDestroy(graph);
      }
    }
    context.check(ended, "capturing graph '" + label + "'");
    CUgraphExec executable = new CUgraphExec();
    int code = JCudaDriver.cuGraphInstantiate(executable, graph, 0);
    JCudaDriver.cuGraphDestroy(graph);
    context.check(code, "instantiating graph '" + label + "'");
    return new CudaGraph(context, label, captured, executable, null);
  }

  /** Waits until everything given to this stream is done. */
  public void synchronize() {
    context.use();
    if (captured != null) {
      throw new IllegalStateException("the stream cannot be waited for while work is captured");
    }
    long mark = enqueued.mark();
    context.check(JCudaDriver.cuStreamSynchronize(stream), "waiting for the device");
    enqueued.doneTo(mark);
  }

  CUstream handle() {
    return stream;
  }

  Enqueued enqueued() {
    return enqueued;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      context.forget(this);
      context.release(() -> JCudaDriver.cuStreamDestroy(stream));
    }
  }
}
