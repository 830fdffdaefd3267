package io.rollcall.engine.runner.cuda;

import io.rollcall.kernels.cuda.Cublas;
import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.Gemm;
import io.rollcall.kernels.cuda.TensorCoreGemm;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Products of many rows, for prefill and for decode's projections where it wins: the node's cuBLAS, else our own kernels. */
final class Gemms {
  private static final Logger LOG = LoggerFactory.getLogger(Gemms.class);
  private static final AtomicBoolean SAID = new AtomicBoolean();

  private Gemms() {}

  static Gemm open(CudaContext context, CudaStream stream) {
    Optional<Cublas> cublas = Cublas.open(context, stream);
    if (!SAID.getAndSet(true)) {
      LOG.info(
          "Prefill computes with {}",
          cublas
              .map(found -> "cuBLAS " + found.version())
              .orElse(
                  "kernels of its own, which are slower than cuBLAS: none was found on this node"));
    }
    return cublas.isPresent() ? cublas.get() : new TensorCoreGemm(context, stream);
  }

  static String name(Gemm gemm) {
    return gemm instanceof Cublas ? "cuBLAS " + gemm.version() : gemm.version();
  }
}
