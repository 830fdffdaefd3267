package io.rollcall.kernels.cuda;

import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.IntSupplier;
import java.util.stream.Collectors;
import jcuda.Pointer;
import jcuda.driver.CUcontext;
import jcuda.driver.CUdevice;
import jcuda.driver.CUdeviceptr;
import jcuda.driver.CUevent;
import jcuda.driver.CUfunction;
import jcuda.driver.CUmodule;
import jcuda.driver.CUresult;
import jcuda.driver.CUstream;
import jcuda.driver.CUstream_flags;
import jcuda.driver.JCudaDriver;

/**
 * What this process does on one device: its memory, kernels, streams. Closing it frees all of them,
 * pinned memory too. Any thread may use it; a stream is for one thread at a time.
 *
 * <p>A fault of a kernel ends the context: every later call throws {@link DeviceFaultException} with
 * the first one's message, and {@link #close()} still works.
 */
public final class CudaContext implements DeviceMemory, AutoCloseable {
  /** Errors after which the driver answers everything with an error. */
  private static final Set<Integer> STICKY =
      Set.of(
          CUresult.CUDA_ERROR_ECC_UNCORRECTABLE,
          CUresult.CUDA_ERROR_NVLINK_UNCORRECTABLE,
          226, // CONTAINED: a memory error that only this process sees
          CUresult.CUDA_ERROR_ILLEGAL_ADDRESS,
          CUresult.CUDA_ERROR_LAUNCH_TIMEOUT,
          CUresult.CUDA_ERROR_CONTEXT_IS_DESTROYED,
          CUresult.CUDA_ERROR_ASSERT,
          CUresult.CUDA_ERROR_HARDWARE_STACK_ERROR,
          CUresult.CUDA_ERROR_ILLEGAL_INSTRUCTION,
          CUresult.CUDA_ERROR_MISALIGNED_ADDRESS,
          CUresult.CUDA_ERROR_INVALID_ADDRESS_SPACE,
          CUresult.CUDA_ERROR_INVALID_PC,
          CUresult.CUDA_ERROR_LAUNCH_FAILED,
          721, // TENSOR_MEMORY_LEAK
          CUresult.CUDA_ERROR_UNKNOWN);

  /** Errors of a driver that does not know what the kernels were built for. */
  private static final Set<Integer> TOO_OLD =
      Set.of(
          CUresult.CUDA_ERROR_INVALID_IMAGE,
          CUresult.CUDA_ERROR_NO_BINARY_FOR_GPU,
          CUresult.CUDA_ERROR_INVALID_PTX,
          CUresult.CUDA_ERROR_JIT_COMPILER_NOT_FOUND,
          CUresult.CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
          CUresult.CUDA_ERROR_JIT_COMPILATION_DISABLED);

  private static final ThreadLocal<CudaContext> CURRENT = new ThreadLocal<>();

  /** The first fault of this process, after which the driver may refuse it new contexts. */
  private static volatile String firstFault;

  private final CudaDevice device;
  private final CUcontext context;
  private final boolean overlaps;
  private final boolean checked;
  private final Map<String, CUmodule> modules = new ConcurrentHashMap<>();
  private final Map<String, CudaKernel> kernels = new ConcurrentHashMap<>();
  private final CopyOnWriteArrayList<CudaStream> streams = new CopyOnWriteArrayList<>();
  private volatile String fault;
  private volatile int faultCode;
  private volatile boolean closed;

  private CudaContext(CudaDevice device, CUcontext context) {
    this.device = device;
    this.context = context;
    this.overlaps = device.overlaps();
    this.checked =
        Boolean.getBoolean("rollcall.cuda.check")
            || "1".equals(System.getenv("ROLLCALL_CUDA_CHECK"));
  }

  /**
   * A context of its own on the device, with the compiled kernels loaded.
   *
   * @throws CudaException if there is no driver, or it is too old for the kernels
   * @throws DeviceFaultException if the driver gives this process no context after a fault
   */
  public static CudaContext open(CudaDevice device) {
    Driver.problem()
        .ifPresent(
            problem -> {
              throw new CudaException(problem, CUresult.CUDA_ERROR_NO_DEVICE);
            });
    CUdevice handle = new CUdevice();
    CUcontext context = new CUcontext();
    int code = JCudaDriver.cuDeviceGet(handle, device.ordinal());
    if (code == 0) {
      code = JCudaDriver.cuCtxCreate(context, 0, handle);
    }
    if (code != 0) {
      throw refused(device, code);
    }
    CudaContext opened = new CudaContext(device, context);
    CURRENT.set(opened);
    try {
      Fatbins.all().forEach(opened::load);
      return opened;
    } catch (RuntimeException | Error e) {
      opened.close();
      throw e;
    }
  }

  private static CudaException refused(CudaDevice device, int code) {
    String message =
        "opening a context on device %d (%s): %s"
            .formatted(device.ordinal(), device.name(), Driver.describe(code));
    return firstFault == null
        ? new CudaException(message, code)
        : new DeviceFaultException(
            message + "; this process must end, a new one can use the device. Before: " + firstFault,
            code,
            true);
  }

  public CudaDevice device() {
    return device;
  }

  /** Makes this the calling thread's context. Everything here does so itself. */
  public void makeCurrent() {
    if (CURRENT.get() != this) {
      check(JCudaDriver.cuCtxSetCurrent(context), "making a context current");
      CURRENT.set(this);
    }
  }

  /** Before each call of the driver. */
  void use() {
    if (fault != null) {
      throw new DeviceFaultException("the context is lost: " + fault, faultCode);
    }
    if (closed) {
      throw new IllegalStateException("the context is closed");
    }
    makeCurrent();
  }

  /**
   * Loads a module beside the compiled ones: a fatbin, a cubin or PTX text that ends with a zero byte.
   *
   * @param name for messages
   */
  public void load(String name, byte[] image) {
    use();
    CUmodule module = new CUmodule();
    int code = JCudaDriver.cuModuleLoadData(module, image);
    if (TOO_OLD.contains(code)) {
      throw new CudaException(
          ("the driver (CUDA %s) cannot load the kernels '%s' for %s, compute capability %d.%d: %s; "
                  + "%s")
              .formatted(
                  Driver.versionName(device.driverVersion()),
                  name,
                  device.name(),
                  device.major(),
                  device.minor(),
                  Driver.describe(code),
                  Fatbins.requirement()),
          code);
    }
    check(code, "loading kernels '" + name + "'");
    modules.put(name, module);
  }

  /** @throws IllegalArgumentException if no module has it */
  public CudaKernel kernel(String name) {
    CudaKernel known = kernels.get(name);
    return known != null ? known : kernels.computeIfAbsent(name, this::find);
  }

  private CudaKernel find(String name) {
    use();
    for (CUmodule module : modules.values()) {
      CUfunction function = new CUfunction();
      int code = JCudaDriver.cuModuleGetFunction(function, module, name);
      if (code == 0) {
        return new CudaKernel(this, name, function);
      }
      if (code != CUresult.CUDA_ERROR_NOT_FOUND) {
        throw failure(code, "looking up kernel " + name);
      }
    }
    throw new IllegalArgumentException("no compiled module has a kernel " + name);
  }

  @Override
  public CudaContext context() {
    return this;
  }

  @Override
  public DeviceBuffer allocate(String what, long bytes) {
    if (bytes < 1) {
      throw new IllegalArgumentException("%s: %d bytes of device memory".formatted(what, bytes));
    }
    use();
    CUdeviceptr pointer = new CUdeviceptr();
    int code = JCudaDriver.cuMemAlloc(pointer, bytes);
    if (code == CUresult.CUDA_ERROR_OUT_OF_MEMORY) {
      throw new DeviceMemoryException(what, bytes, freeBytes(), device.memoryBytes());
    }
    check(code, "allocating " + bytes + " bytes for " + what);
    return new DeviceBuffer(this, pointer, bytes);
  }

  /** Page-locked host memory, at most 2^31 - 1 bytes. */
  public PinnedBuffer allocatePinned(long bytes) {
    if (bytes < 1 || bytes > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(bytes + " bytes of pinned memory: 1 to 2^31 - 1 go");
    }
    use();
    Pointer pointer = new Pointer();
    check(
        JCudaDriver.cuMemHostAlloc(pointer, bytes, 0),
        "allocating " + bytes + " bytes of pinned host memory");
    return new PinnedBuffer(this, pointer, bytes);
  }

  public CudaStream newStream() {
    use();
    CUstream handle = new CUstream();
    check(
        JCudaDriver.cuStreamCreate(handle, CUstream_flags.CU_STREAM_NON_BLOCKING),
        "creating a stream");
    CudaStream stream = new CudaStream(this, handle);
    streams.add(stream);
    return stream;
  }

  /** An event that also takes the time. */
  public CudaEvent newEvent() {
    use();
    CUevent event = new CUevent();
    check(JCudaDriver.cuEventCreate(event, 0), "creating an event");
    return new CudaEvent(this, event);
  }

  /** Device memory that nobody has, in bytes. */
  public long freeBytes() {
    use();
    long[] free = {0};
    long[] total = {0};
    check(JCudaDriver.cuMemGetInfo(free, total), "asking for free memory");
    return free[0];
  }

  /** Whether a kernel or the hardware went wrong: the context must be closed and never used again. */
  public boolean faulted() {
    return fault != null;
  }

  /** Whether each launch is waited for. */
  boolean checked() {
    return checked;
  }

  boolean overlaps() {
    return overlaps;
  }

  void check(int code, String doing) {
    if (code != 0) {
      throw failure(code, doing);
    }
  }

  /** The exception for a call that failed; a fault is noted. */
  CudaException failure(int code, String doing) {
    String message = doing + ": " + Driver.describe(code);
    if (!STICKY.contains(code)) {
      return new CudaException(message, code);
    }
    synchronized (this) {
      if (fault == null) {
        fault = message + suspects();
        faultCode = code;
      }
      if (firstFault == null) {
        firstFault = fault;
      }
    }
    return new DeviceFaultException(fault, code);
  }

  private String suspects() {
    if (checked) {
      return "";
    }
    String open =
        streams.stream()
            .map(stream -> stream.enqueued().describe())
            .filter(text -> !text.isEmpty())
            .collect(Collectors.joining("; on another stream: "));
    return (open.isEmpty() ? "" : "; running or waiting: " + open)
        + "; ROLLCALL_CUDA_CHECK=1 finds the very kernel";
  }

  void forget(CudaStream stream) {
    streams.remove(stream);
  }

  void free(CUdeviceptr pointer) {
    release(() -> JCudaDriver.cuMemFree(pointer));
  }

  void free(Pointer pinned) {
    release(() -> JCudaDriver.cuMemFreeHost(pinned));
  }

  /** Gives back what a living context holds; a lost or closed one has nothing to give back. */
  void release(IntSupplier call) {
    if (fault == null && !closed) {
      makeCurrent();
      check(call.getAsInt(), "releasing device resources");
    }
  }

  @Override
  public synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    // After a fault the driver answers with the same error, and there is nothing more to do about it.
    int code = JCudaDriver.cuCtxDestroy(context);
    if (CURRENT.get() == this) {
      CURRENT.remove();
    }
    if (fault == null) {
      check(code, "closing a context");
    }
  }
}
