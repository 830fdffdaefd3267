package io.rollcall.engine;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.runner.Backend;
import io.rollcall.engine.runner.CpuModel;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.runner.cuda.DeviceModel;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.CudaDevice;

/** Picks what computes, and loads models there. */
public final class Backends {
  private Backends() {}

  /** CUDA where this process sees a device, else the CPU. */
  public static Backend best() {
    return CudaDevice.all().isEmpty() ? Backend.CPU : Backend.CUDA;
  }

  /**
   * @param device ordinal of the device in this process; of no matter to the CPU
   * @throws UserException for a model that is missing, truncated, unsupported or too large, or a device
   *     that is not there
   */
  public static LoadedModel load(
      ModelFiles files, WeightType weights, Backend backend, int device) {
    return switch (backend) {
      case CPU -> CpuModel.load(files, weights);
      case CUDA -> DeviceModel.load(files, weights, device(device));
    };
  }

  /**
   * @param ordinal in this process
   * @throws UserException when there is none, saying why
   */
  public static CudaDevice device(int ordinal) {
    CudaDevice.whyNone()
        .ifPresent(
            why -> {
              throw new UserException("no CUDA device: " + why + "; use --backend cpu");
            });
    return CudaDevice.all().stream()
        .filter(device -> device.ordinal() == ordinal)
        .findFirst()
        .orElseThrow(
            () ->
                new UserException(
                    "no CUDA device " + ordinal + "; this process sees "
                        + CudaDevice.all().size()));
  }
}
