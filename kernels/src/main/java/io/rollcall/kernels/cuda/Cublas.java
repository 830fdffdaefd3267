package io.rollcall.kernels.cuda;

import com.sun.jna.Memory;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import com.sun.jna.ptr.IntByReference;
import com.sun.jna.ptr.PointerByReference;
import java.util.Optional;
import jcuda.driver.CUresult;
import jcuda.driver.JCudaDriver;

/**
 * Dense products of f16 matrices by the node's own cuBLAS, sums in f32, on one stream. Bound to one
 * context and used by the stream's thread.
 *
 * <p>cuBLAS has columns contiguous where we have rows: to it our row-major X [r x c] is X^T, [c x r].
 * So C = A B^T is asked for as C^T = B A^T, with our B transposed back and A as it lies; C = A B as
 * C^T = B^T A^T with both as they lie.
 */
public final class Cublas implements Gemm {
  private static final int R_32F = 0;
  private static final int R_16F = 2;
  private static final int COMPUTE_32F = 68;
  private static final int DEFAULT_ALGORITHM = -1;
  private static final int AS_IT_LIES = 0;
  private static final int TRANSPOSED = 1;
  private static final int ALLOC_FAILED = 3;

  /** What NVIDIA recommends for Hopper; given to cuBLAS so that it never allocates by itself. */
  private static final long WORKSPACE = 32L << 20;

  private final CudaContext context;
  private final CudaStream stream;
  private final NativeLibrary library;
  private final long handle;
  private final DeviceBuffer workspace;
  /** Alpha and beta of a call, which cuBLAS reads before it returns. */
  private final Memory scalars = new Memory(2 * Float.BYTES);
  private final String version;
  private boolean closed;

  private Cublas(CudaContext context, CudaStream stream, NativeLibrary library) {
    this.context = context;
    this.stream = stream;
    this.library = library;
    CublasCalls.bind(library);
    context.use();
    this.workspace = context.allocate("cuBLAS's workspace", WORKSPACE);
    long created = 0;
    try {
      PointerByReference reference = new PointerByReference();
      call("cublasCreate_v2", reference);
      created = Pointer.nativeValue(reference.getValue());
      call("cublasSetStream_v2", created, Handle.of(stream.handle()));
      call("cublasSetWorkspace_v2", created, workspace.address(), WORKSPACE);
      IntByReference number = new IntByReference();
      call("cublasGetVersion_v2", created, number);
      this.version = versionName(number.getValue());
    } catch (RuntimeException | Error e) {
      if (created != 0) {
        invoke("cublasDestroy_v2", created);
      }
      workspace.close();
      throw e;
    }
    this.handle = created;
  }

  /**
   * cuBLAS for this stream; empty where the node has none.
   *
   * @throws IllegalArgumentException if -Drollcall.cublas or ROLLCALL_CUBLAS names no cuBLAS
   * @throws CudaException if there is one that does not start
   * @throws DeviceMemoryException if there is no memory left for it
   */
  public static Optional<Cublas> open(CudaContext context, CudaStream stream) {
    return CublasLibrary.find().map(library -> new Cublas(context, stream, library));
  }

  /** Of the library: "13.1.0". */
  public String version() {
    return version;
  }

  /** Where the library was found. */
  public String path() {
    return library.getFile() == null ? library.getName() : library.getFile().toString();
  }

  @Override
  public void multiplyTransposed(
      DeviceBuffer a,
      int lda,
      DeviceBuffer b,
      int ldb,
      DeviceBuffer c,
      int ldc,
      boolean cIsF32,
      int m,
      int n,
      int k,
      float alpha,
      float beta) {
    requireRange("A", a, m, k, lda, 2);
    requireRange("B", b, n, k, ldb, 2);
    requireRange("C", c, m, n, ldc, cIsF32 ? 4 : 2);
    gemm(TRANSPOSED, b, ldb, a, lda, c, ldc, cIsF32, n, m, k, alpha, beta);
  }

  @Override
  public void multiply(
      DeviceBuffer a,
      int lda,
      DeviceBuffer b,
      int ldb,
      DeviceBuffer c,
      int ldc,
      boolean cIsF32,
      int m,
      int n,
      int k,
      float alpha,
      float beta) {
    requireRange("A", a, m, k, lda, 2);
    requireRange("B", b, k, n, ldb, 2);
    requireRange("C", c, m, n, ldc, cIsF32 ? 4 : 2);
    gemm(AS_IT_LIES, b, ldb, a, lda, c, ldc, cIsF32, n, m, k, alpha, beta);
  }

  /** In cuBLAS's terms: C [rows x columns] = alpha op(left) right + beta C, columns contiguous. */
  private void gemm(
      int leftOperation,
      DeviceBuffer left,
      int leftStride,
      DeviceBuffer right,
      int rightStride,
      DeviceBuffer c,
      int cStride,
      boolean cIsF32,
      int rows,
      int columns,
      int k,
      float alpha,
      float beta) {
    Product product = new Product(columns, rows, k);
    stream.enqueue(
        product,
        () -> {
          stream.enqueued().add(product, null);
          scalars.setFloat(0, alpha);
          scalars.setFloat(Float.BYTES, beta);
          long at = Pointer.nativeValue(scalars);
          int status =
              CublasCalls.cublasGemmEx(
                  handle, leftOperation, AS_IT_LIES, rows, columns, k, at,
                  left.address(), R_16F, leftStride, right.address(), R_16F, rightStride,
                  at + Float.BYTES, c.address(), cIsF32 ? R_32F : R_16F, cStride, COMPUTE_32F,
                  DEFAULT_ALGORITHM);
          if (status != 0) {
            // where cuBLAS failed because a kernel did, the driver knows more
            int known = JCudaDriver.cuStreamQuery(stream.handle());
            if (known != CUresult.CUDA_ERROR_NOT_READY) {
              context.check(known, product.toString());
            }
            throw failure(product.toString(), status);
          }
          return 0;
        });
  }

  /** For messages. */
  private record Product(int m, int n, int k) {
    @Override
    public String toString() {
      return "cublasGemmEx of %d x %d x %d".formatted(m, n, k);
    }
  }

  private static void requireRange(
      String name, DeviceBuffer buffer, int rows, int columns, int stride, int bytes) {
    if (rows < 1 || columns < 1 || stride < columns) {
      throw new IllegalArgumentException(
          "%s of %d x %d, rows %d apart: not a matrix".formatted(name, rows, columns, stride));
    }
    long needed = ((rows - 1L) * stride + columns) * bytes;
    if (needed > buffer.bytes()) {
      throw new IllegalArgumentException(
          "%s of %d x %d, rows %d apart, has %d bytes; its buffer has %d"
              .formatted(name, rows, columns, stride, needed, buffer.bytes()));
    }
  }

  private int invoke(String function, Object... arguments) {
    return library.getFunction(function).invokeInt(arguments);
  }

  private void call(String function, Object... arguments) {
    int status = invoke(function, arguments);
    if (status == ALLOC_FAILED) {
      throw new DeviceMemoryException(
          "cuBLAS (" + function + ")", context.freeBytes(), context.device().memoryBytes());
    }
    if (status != 0) {
      throw failure(function, status);
    }
  }

  private CudaException failure(String doing, int status) {
    String name =
        switch (status) {
          case 1 -> "NOT_INITIALIZED";
          case ALLOC_FAILED -> "ALLOC_FAILED";
          case 7 -> "INVALID_VALUE";
          case 8 -> "ARCH_MISMATCH";
          case 11 -> "MAPPING_ERROR";
          case 13 -> "EXECUTION_FAILED";
          case 14 -> "INTERNAL_ERROR";
          case 15 -> "NOT_SUPPORTED";
          default -> String.valueOf(status);
        };
    return new CudaException(
        "%s (cuBLAS at %s): CUBLAS_STATUS_%s".formatted(doing, path(), name), 0);
  }

  private static String versionName(int number) {
    // 11 and later count 10000 x major + 100 x minor + patch
    return number / 10000 + "." + number / 100 % 100 + "." + number % 100;
  }

  @Override
  public void close() {
    if (!closed) {
      closed = true;
      // a failed end leaves nothing to do
      context.release(
          () -> {
            invoke("cublasDestroy_v2", handle);
            return 0;
          });
      workspace.close();
    }
  }
}
