package io.rollcall.kernels.cuda;

/**
 * Lets a kernel write where there is nothing and prints what comes of it. A process of its own: a
 * fault may cost it the device. Arguments: "graph" has the kernel launched by a graph.
 */
public final class FaultProbe {
  private FaultProbe() {}

  public static void main(String[] arguments) {
    CudaDevice device = CudaDevice.all().get(0);
    CudaContext context = CudaContext.open(device);
    TestKernels.load(context);
    CudaStream stream = context.newStream();
    DeviceBuffer buffer = context.allocate("a buffer", 1024);
    CudaKernel add = context.kernel("add");
    CudaKernel fault = context.kernel("write_nowhere");
    Runnable work =
        () -> {
          stream.launch(add, Launch.of(1, 64), buffer, 64, 1, 0f);
          stream.launch(fault, Launch.of(3, 32), 0L);
        };
    try {
      if (arguments.length > 0 && arguments[0].equals("graph")) {
        CudaGraph graph = stream.capture("two kernels", work);
        graph.launch(stream);
      } else {
        work.run();
      }
      stream.synchronize();
      System.out.println("no fault");
    } catch (DeviceFaultException e) {
      System.out.println("fault: " + e.getMessage());
    }
    System.out.println("faulted: " + context.faulted());
    try {
      context.freeBytes();
      System.out.println("used again");
    } catch (DeviceFaultException e) {
      System.out.println("refused: " + e.getMessage());
    }
    buffer.close();
    stream.close();
    context.close();
    System.out.println("closed");
    try (CudaContext next = CudaContext.open(device)) {
      System.out.println("next: works, " + next.freeBytes() + " bytes free");
    } catch (DeviceFaultException e) {
      System.out.println("next: " + e.getMessage());
    }
  }
}
