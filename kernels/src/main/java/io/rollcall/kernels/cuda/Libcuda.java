package io.rollcall.kernels.cuda;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;

/**
 * The driver's functions for launches, which JCuda 12.6 does not have. Bound directly: a call
 * allocates nothing. All arguments are addresses.
 */
final class Libcuda {
  static final String NAME = "libcuda.so.1";

  static {
    Native.register(Libcuda.class, NativeLibrary.getInstance(NAME));
  }

  private Libcuda() {}

  /** CUlaunchConfig*, CUfunction, void** parameters, void** extra. */
  static native int cuLaunchKernelEx(long config, long function, long parameters, long extra);

  /** CUstream, CUstreamAttrID, CUstreamAttrValue*; JCuda 12.6's crashes. */
  static native int cuStreamSetAttribute(long stream, int attribute, long value);

  /** int* clusters, CUfunction, CUlaunchConfig*. */
  static native int cuOccupancyMaxActiveClusters(long clusters, long function, long config);
}
