package io.rollcall.kernels.cuda;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;

/**
 * The one function of the driver that every launch takes, which JCuda 12.6 does not have. Bound
 * directly: a call allocates nothing. All arguments are addresses.
 */
final class Libcuda {
  static final String NAME = "libcuda.so.1";

  static {
    Native.register(Libcuda.class, NativeLibrary.getInstance(NAME));
  }

  private Libcuda() {}

  /** CUlaunchConfig*, CUfunction, void** parameters, void** extra. */
  static native int cuLaunchKernelEx(long config, long function, long parameters, long extra);
}
