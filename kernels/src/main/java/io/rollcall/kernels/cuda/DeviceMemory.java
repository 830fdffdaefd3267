package io.rollcall.kernels.cuda;

/** Where device memory comes from. */
public interface DeviceMemory {
  CudaContext context();

  /**
   * @param what for the message, should memory run out: "the weights of layer 3"
   * @return memory of unknown contents, 256-byte aligned
   * @throws DeviceMemoryException if there is too little
   */
  DeviceBuffer allocate(String what, long bytes);
}
