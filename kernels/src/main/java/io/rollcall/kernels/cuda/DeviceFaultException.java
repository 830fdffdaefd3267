package io.rollcall.kernels.cuda;

/**
 * An error that the context does not survive: a kernel read or wrote where it must not, trapped, or
 * the hardware failed. The message names what had been enqueued since the stream was last known to be
 * well. The context must be closed and never used again.
 */
public final class DeviceFaultException extends CudaException {
  DeviceFaultException(String message, int code) {
    super(message, code);
  }
}
