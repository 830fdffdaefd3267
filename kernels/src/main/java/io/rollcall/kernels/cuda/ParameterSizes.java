package io.rollcall.kernels.cuda;

import com.sun.jna.Function;
import com.sun.jna.NativeLibrary;
import com.sun.jna.ptr.LongByReference;
import java.util.Arrays;

/** What a kernel takes, by the compiled code itself: bytes of each parameter. */
final class ParameterSizes {
  private ParameterSizes() {}

  /** Empty array: takes none. Null: the driver (before 12.4) cannot tell. */
  static int[] of(long function) {
    Function query;
    try {
      query = NativeLibrary.getInstance(Libcuda.NAME).getFunction("cuFuncGetParamInfo");
    } catch (UnsatisfiedLinkError e) {
      return null;
    }
    LongByReference offset = new LongByReference();
    LongByReference size = new LongByReference();
    int[] sizes = new int[LaunchBlock.MAX_ARGUMENTS];
    for (int i = 0; i < sizes.length; i++) {
      // fails past the last one
      if (query.invokeInt(new Object[] {function, (long) i, offset, size}) != 0) {
        return Arrays.copyOf(sizes, i);
      }
      sizes[i] = (int) size.getValue();
    }
    return sizes;
  }
}
