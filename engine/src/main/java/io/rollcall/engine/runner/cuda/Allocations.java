package io.rollcall.engine.runner.cuda;

import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.PinnedBuffer;
import java.util.ArrayDeque;

/** What one owner holds of a device, given back in reverse order. */
final class Allocations implements AutoCloseable {
  private final CudaContext context;
  private final ArrayDeque<AutoCloseable> held = new ArrayDeque<>();

  Allocations(CudaContext context) {
    this.context = context;
  }

  CudaContext context() {
    return context;
  }

  DeviceBuffer device(String what, long bytes) {
    return keep(context.allocate(what, bytes));
  }

  PinnedBuffer pinned(long bytes) {
    return keep(context.allocatePinned(bytes));
  }

  <T extends AutoCloseable> T keep(T resource) {
    held.push(resource);
    return resource;
  }

  @Override
  public void close() {
    RuntimeException failure = null;
    while (!held.isEmpty()) {
      try {
        held.pop().close();
      } catch (Exception e) {
        failure = e instanceof RuntimeException r ? r : new IllegalStateException(e);
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
