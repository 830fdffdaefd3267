package io.rollcall.kernels.cuda;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import jcuda.driver.CUfunction;
import jcuda.driver.CUfunction_attribute;
import jcuda.driver.JCudaDriver;

/** A kernel of a loaded module. */
public final class CudaKernel {
  /** Dynamic shared memory that needs no leave. */
  private static final int ALWAYS_ALLOWED = 48 << 10;

  private final CudaContext context;
  private final String name;
  private final CUfunction function;
  private final long handle;
  private final int staticShared;
  private final int[] parameterSizes;
  private final Map<Launch, Integer> clusters = new ConcurrentHashMap<>();
  private int allowedShared = ALWAYS_ALLOWED;

  CudaKernel(CudaContext context, String name, CUfunction function) {
    this.context = context;
    this.name = name;
    this.function = function;
    this.handle = Handle.of(function);
    // also makes the driver load the code now, rather than at a first launch that may be captured
    this.staticShared = attribute(CUfunction_attribute.CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
    this.allowedShared = Math.max(0, ALWAYS_ALLOWED - staticShared);
    this.parameterSizes = ParameterSizes.of(handle);
  }

  public String name() {
    return name;
  }

  /** How many blocks of this shape one multiprocessor holds at a time; 0 if not one fits. */
  public int blocksPerMultiprocessor(int threads, int sharedBytes) {
    context.use();
    prepare(sharedBytes);
    int[] blocks = {0};
    context.check(
        JCudaDriver.cuOccupancyMaxActiveBlocksPerMultiprocessor(
            blocks, function, threads, sharedBytes),
        "occupancy of kernel " + name);
    return blocks[0];
  }

  /** How many clusters of this launch's shape the device holds at a time; 0 if not one fits. */
  public int clusters(Launch launch) {
    return clusters.computeIfAbsent(launch, this::askClusters);
  }

  private int askClusters(Launch launch) {
    context.use();
    prepare(launch.sharedBytes());
    LaunchBlock block = new LaunchBlock(0);
    block.shape(launch, false);
    // no launch is made of the block: its first value is as good a place as any for the answer
    int code = Libcuda.cuOccupancyMaxActiveClusters(block.values(), handle, block.config());
    context.check(code, "clusters of kernel " + name);
    return block.memory.getInt(LaunchBlock.VALUES);
  }

  CudaContext context() {
    return context;
  }

  long handle() {
    return handle;
  }

  int[] parameterSizes() {
    return parameterSizes;
  }

  /** Lets blocks have this much dynamic shared memory, in bytes. */
  synchronized void prepare(int sharedBytes) {
    if (sharedBytes <= allowedShared) {
      return;
    }
    int most = context.device().sharedBytesPerBlock() - staticShared;
    if (sharedBytes > most) {
      throw new IllegalArgumentException(
          "kernel %s: %d bytes of dynamic shared memory, a block can have %d here"
              .formatted(name, sharedBytes, most));
    }
    context.check(
        JCudaDriver.cuFuncSetAttribute(
            function,
            CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
            sharedBytes),
        "shared memory of kernel " + name);
    allowedShared = sharedBytes;
  }

  private int attribute(int attribute) {
    int[] value = {0};
    context.check(
        JCudaDriver.cuFuncGetAttribute(value, attribute, function), "attributes of kernel " + name);
    return value[0];
  }

  @Override
  public String toString() {
    return name;
  }
}
