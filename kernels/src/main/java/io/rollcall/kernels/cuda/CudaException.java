package io.rollcall.kernels.cuda;

/** A call of the CUDA driver that failed: what was being done, the error's name and its meaning. */
public class CudaException extends RuntimeException {
  private final int code;

  CudaException(String message, int code) {
    super(message);
    this.code = code;
  }

  /** The driver's CUresult; 0 where the failure is not the driver's. */
  public int code() {
    return code;
  }
}
