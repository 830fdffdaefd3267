package io.rollcall.kernels.cpu;

import io.rollcall.kernels.Kernels;
import io.rollcall.kernels.WorkerPool;

/** Makes the CPU's kernels: the Vector API's where it is there, else plain Java's. */
public final class CpuKernels {
  private CpuKernels() {}

  /** The fastest provider this JVM can run. Which one, and why, is decided and logged once. */
  public static Kernels create(WorkerPool pool) {
    throw new UnsupportedOperationException();
  }

  /** The plain Java provider: the reference for tests. */
  public static Kernels plain(WorkerPool pool) {
    throw new UnsupportedOperationException();
  }
}
