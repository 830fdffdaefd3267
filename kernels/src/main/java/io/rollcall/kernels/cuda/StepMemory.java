package io.rollcall.kernels.cuda;

import jcuda.driver.CUdevice;
import jcuda.driver.CUdevice_attribute;
import jcuda.driver.CUlimit;
import jcuda.driver.JCudaDriver;

/**
 * Device memory in which the kernels of a step hand results to each other: one range, which L2 keeps
 * while weights stream past, so that what they write does not go to memory and come back. Ordinary memory
 * where a device or a partition of one (MIG) lets nothing be kept. Belongs to one stream.
 */
public final class StepMemory implements DeviceMemory, AutoCloseable {
  /** Of L2: 12 of an H100's 50 MB give less, 24 no more, and 30 slow all steps. */
  private static final int KEPT_SHARE = 3;

  private static final int ALIGNMENT = 256;

  private final CudaContext context;
  private final DeviceBuffer all;
  private long used;

  /** Room for twice what L2 keeps: at no time does a step use all of it. */
  public StepMemory(CudaContext context) {
    this.context = context;
    long bytes = Math.max(2 * context.device().l2Bytes() / KEPT_SHARE, ALIGNMENT);
    all = context.allocate("what the kernels of a step hand to each other", bytes);
  }

  @Override
  public CudaContext context() {
    return context;
  }

  /** What has no room here is ordinary memory, and is to be closed. */
  @Override
  public DeviceBuffer allocate(String what, long bytes) {
    long padded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (bytes < 1 || padded > all.bytes() - used) {
      return context.allocate(what, bytes);
    }
    DeviceBuffer buffer = all.slice(used, bytes);
    used += padded;
    return buffer;
  }

  /**
   * From now on L2 keeps what the stream's kernels read and write here, in graphs captured from now on
   * too.
   *
   * @return whether it does
   */
  public boolean keep(CudaStream stream) {
    return used > 0 && setAside() && stream.keep(all.slice(0, used));
  }

  /** Room in L2, the same for all of the context's. */
  private boolean setAside() {
    context.use();
    CUdevice device = new CUdevice();
    int[] most = {0};
    return JCudaDriver.cuDeviceGet(device, context.device().ordinal()) == 0
        && JCudaDriver.cuDeviceGetAttribute(
                most, CUdevice_attribute.CU_DEVICE_ATTRIBUTE_MAX_PERSISTING_L2_CACHE_SIZE, device)
            == 0
        && most[0] > 0
        && JCudaDriver.cuCtxSetLimit(
                CUlimit.CU_LIMIT_PERSISTING_L2_CACHE_SIZE,
                Math.min(most[0], context.device().l2Bytes() / KEPT_SHARE))
            == 0;
  }

  /** What it handed out is gone then. */
  @Override
  public void close() {
    all.close();
    context.release(JCudaDriver::cuCtxResetPersistingL2Cache);
  }
}
