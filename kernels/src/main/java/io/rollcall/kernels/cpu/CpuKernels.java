package io.rollcall.kernels.cpu;

import io.rollcall.kernels.Kernels;
import io.rollcall.kernels.WorkerPool;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Makes the CPU's kernels: the Vector API's where it is there, else plain Java's. */
public final class CpuKernels {
  private static final Logger LOG = LoggerFactory.getLogger(CpuKernels.class);
  private static final String MODULE = "jdk.incubator.vector";

  private CpuKernels() {}

  /** The fastest provider this JVM can run. Which one, and why, is decided and logged once. */
  public static Kernels create(WorkerPool pool) {
    return new ThreadedKernels(Fastest.PRIMITIVES, pool);
  }

  /** The plain Java provider: the reference for tests. */
  public static Kernels plain(WorkerPool pool) {
    return new ThreadedKernels(new PlainPrimitives(), pool);
  }

  /** Initialised by the first {@link #create}. */
  private static final class Fastest {
    static final Primitives PRIMITIVES = choose();

    private static Primitives choose() {
      if (ModuleLayer.boot().findModule(MODULE).isEmpty()) {
        LOG.warn(
            "CPU kernels: plain Java, many times slower, because module {} is not resolved; "
                + "start the JVM with --add-modules {}",
            MODULE,
            MODULE);
        return new PlainPrimitives();
      }
      return vectorOrPlain();
    }

    /** Apart from {@link #choose}, so that nothing links the Vector API before it is known there. */
    private static Primitives vectorOrPlain() {
      if (Lanes.PREFERRED_BITS < 128) {
        LOG.warn(
            "CPU kernels: plain Java, because the preferred vector has {} bits, fewer than 128",
            Lanes.PREFERRED_BITS);
        return new PlainPrimitives();
      }
      Primitives vector = new VectorPrimitives();
      LOG.info("CPU kernels: {}, because module {} is resolved", vector.description(), MODULE);
      return vector;
    }
  }
}
