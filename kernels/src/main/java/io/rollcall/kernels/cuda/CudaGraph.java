package io.rollcall.kernels.cuda;

import java.util.List;
import jcuda.driver.CUgraphExec;
import jcuda.driver.JCudaDriver;

/** Work captured from a stream, to be launched as one. */
public final class CudaGraph implements AutoCloseable {
  private final CudaContext context;
  private final String label;
  private final List<Enqueued.Work> kernels;
  private final CUgraphExec executable;
  private final List<Runnable> replay;
  private boolean closed;

  /** @param executable null where {@code replay}, what was captured step by step, stands for it */
  CudaGraph(
      CudaContext context,
      String label,
      List<Enqueued.Work> kernels,
      CUgraphExec executable,
      List<Runnable> replay) {
    this.context = context;
    this.label = label;
    this.kernels = List.copyOf(kernels);
    this.executable = executable;
    this.replay = replay;
  }

  public void launch(CudaStream stream) {
    if (closed) {
      throw new IllegalStateException("graph '" + label + "' is closed");
    }
    stream.launch(this);
  }

  /** Kernels launched by this layer when it was captured; cuBLAS's own are not counted. */
  public int kernels() {
    return kernels.size();
  }

  CUgraphExec executable() {
    return executable;
  }

  /** Null for a graph that the driver holds. */
  List<Runnable> replay() {
    return replay;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      if (executable != null) {
        context.release(() -> JCudaDriver.cuGraphExecDestroy(executable));
      }
    }
  }

  @Override
  public String toString() {
    return "graph '%s' of %d kernels: %s".formatted(label, kernels.size(), Enqueued.summary(kernels));
  }
}
