package io.rollcall.kernels.cuda;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import jcuda.driver.CUaccessProperty;

/**
 * What a launch passes to the driver, in one block of native memory that a stream fills again for each
 * launch (the driver copies it before it returns):
 *
 * <pre>
 *   0    CUlaunchConfig      grid x, y, z, block x, y, z, shared bytes: 4 bytes each; 32 stream,
 *                            40 attributes, 48 number of attributes
 *   56   CUlaunchAttribute   id, 4 bytes of padding, value of 64 bytes; two of them
 *   200  parameters          addresses of the values below
 *   712  values              8 bytes each
 * </pre>
 */
final class LaunchBlock {
  static final int MAX_ARGUMENTS = 64;

  static final int STREAM = 32;
  static final int ATTRIBUTES = 40;
  static final int ATTRIBUTE_COUNT = 48;
  static final int ATTRIBUTE = 56;
  static final int ATTRIBUTE_BYTES = 72;
  static final int PARAMETERS = ATTRIBUTE + 2 * ATTRIBUTE_BYTES;
  static final int VALUES = PARAMETERS + 8 * MAX_ARGUMENTS;
  static final int BYTES = VALUES + 8 * MAX_ARGUMENTS;

  static final int ACCESS_POLICY_WINDOW = 1;
  private static final int CLUSTER_DIMENSION = 4;
  private static final int PROGRAMMATIC_STREAM_SERIALIZATION = 6;

  final ByteBuffer memory = ByteBuffer.allocateDirect(BYTES).order(ByteOrder.nativeOrder());
  private final long address = Pointer.nativeValue(Native.getDirectBufferPointer(memory));

  /** For launches on the stream with this native handle. */
  LaunchBlock(long stream) {
    memory.putLong(STREAM, stream);
    memory.putLong(ATTRIBUTES, address + ATTRIBUTE);
    for (int i = 0; i < MAX_ARGUMENTS; i++) {
      memory.putLong(PARAMETERS + 8 * i, address + VALUES + 8 * i);
    }
  }

  /** Address of the CUlaunchConfig. */
  long config() {
    return address;
  }

  /** Address of the parameters' values. */
  long values() {
    return address + VALUES;
  }

  /** Address of the array of parameter addresses. */
  long parameters() {
    return address + PARAMETERS;
  }

  /**
   * Address of a CUaccessPolicyWindow, in the values' place until the next launch: what lies in the memory
   * stays in L2, other accesses are as ever.
   */
  long window(DeviceBuffer kept) {
    memory.putLong(VALUES, kept.address());
    memory.putLong(VALUES + 8, kept.bytes());
    memory.putFloat(VALUES + 16, 1);
    memory.putInt(VALUES + 20, CUaccessProperty.CU_ACCESS_PROPERTY_PERSISTING);
    memory.putInt(VALUES + 24, CUaccessProperty.CU_ACCESS_PROPERTY_NORMAL);
    return values();
  }

  void shape(Launch launch, boolean overlapping) {
    memory.putInt(0, launch.gridX());
    memory.putInt(4, launch.gridY());
    memory.putInt(8, launch.gridZ());
    memory.putInt(12, launch.threads());
    memory.putInt(16, 1);
    memory.putInt(20, 1);
    memory.putInt(24, launch.sharedBytes());
    int attributes = 0;
    if (overlapping) {
      attribute(attributes++, PROGRAMMATIC_STREAM_SERIALIZATION, 1);
    }
    if (launch.cluster() > 0) {
      attribute(attributes++, CLUSTER_DIMENSION, launch.cluster(), 1, 1);
    }
    memory.putInt(ATTRIBUTE_COUNT, attributes);
  }

  private void attribute(int index, int id, int... value) {
    int at = ATTRIBUTE + index * ATTRIBUTE_BYTES;
    memory.putInt(at, id);
    for (int i = 0; i < value.length; i++) {
      memory.putInt(at + 8 + 4 * i, value[i]);
    }
  }

  /**
   * @param sizes bytes of each of the kernel's parameters, or null where unknown
   * @throws IllegalArgumentException if the arguments are not what the kernel takes
   */
  void arguments(String kernel, int[] sizes, Object... arguments) {
    int count = count(arguments);
    if (count > MAX_ARGUMENTS) {
      throw new IllegalArgumentException(
          "kernel %s: %d arguments, at most %d go".formatted(kernel, count, MAX_ARGUMENTS));
    }
    if (sizes != null && sizes.length != count) {
      throw new IllegalArgumentException(
          "kernel %s takes %d arguments, got %d".formatted(kernel, sizes.length, count));
    }
    putAll(kernel, sizes, 0, arguments);
  }

  private static int count(Object[] arguments) {
    int count = 0;
    for (Object argument : arguments) {
      count += argument instanceof Object[] several ? count(several) : 1;
    }
    return count;
  }

  /** @return the next argument's index */
  private int putAll(String kernel, int[] sizes, int first, Object[] arguments) {
    int i = first;
    for (Object argument : arguments) {
      if (argument instanceof Object[] several) {
        i = putAll(kernel, sizes, i, several);
        continue;
      }
      int bytes = put(kernel, i, argument);
      if (sizes != null && sizes[i] != bytes) {
        throw new IllegalArgumentException(
            "kernel %s: argument %d has %d bytes (%s), the kernel takes %d"
                .formatted(kernel, i, bytes, argument, sizes[i]));
      }
      i++;
    }
    return i;
  }

  private int put(String kernel, int i, Object argument) {
    int at = VALUES + 8 * i;
    if (argument instanceof DeviceBuffer buffer) {
      memory.putLong(at, buffer.address());
      return 8;
    } else if (argument instanceof Integer value) {
      memory.putInt(at, value);
      return 4;
    } else if (argument instanceof Float value) {
      memory.putFloat(at, value);
      return 4;
    } else if (argument instanceof Long value) {
      memory.putLong(at, value);
      return 8;
    } else if (argument == null) {
      memory.putLong(at, 0);
      return 8;
    }
    throw new IllegalArgumentException(
        "kernel %s: argument %d is a %s; Integer, Long, Float and DeviceBuffer go"
            .formatted(kernel, i, argument.getClass().getName()));
  }
}
