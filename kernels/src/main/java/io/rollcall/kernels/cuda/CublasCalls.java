package io.rollcall.kernels.cuda;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;

/**
 * cuBLAS's product bound directly: a call through {@link com.sun.jna.Function} costs microseconds, and a pass
 * of a small model has nothing else to wait for. Bound to one library in a process.
 */
final class CublasCalls {
  private static NativeLibrary bound; // guarded by the class

  private CublasCalls() {}

  /** @throws IllegalStateException when this process has bound another one */
  static synchronized void bind(NativeLibrary library) {
    if (bound == null) {
      Native.register(CublasCalls.class, library);
      bound = library;
    } else if (bound != library) {
      throw new IllegalStateException(
          "this process computes with cuBLAS of " + bound.getFile() + " and cannot take that of "
              + library.getFile() + " besides");
    }
  }

  /** All pointers are addresses; alpha and beta are read during the call. */
  static native int cublasGemmEx(
      long handle, int leftOperation, int rightOperation, int rows, int columns, int k, long alpha,
      long left, int leftType, int leftStride, long right, int rightType, int rightStride, long beta,
      long c, int cType, int cStride, int computeType, int algorithm);
}
