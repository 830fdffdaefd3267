package io.rollcall.kernels.cuda;

/**
 * An error that the context does not survive: a kernel read or wrote where it must not, trapped, or
 * the hardware failed. The message names what had been enqueued since the stream was last known to be
 * well. The context must be closed and never used again.
 */
public final class DeviceFaultException extends CudaException {
  private final boolean processMustEnd;

  DeviceFaultException(String message, int code) {
    this(message, code, false);
  }

  DeviceFaultException(String message, int code, boolean processMustEnd) {
    super(message, code);
    this.processMustEnd = processMustEnd;
  }

  /** Whether the driver gives this process no context any more, so that only a new one can go on. */
  public boolean processMustEnd() {
    return processMustEnd;
  }
}
