package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.Launch;
import java.nio.charset.StandardCharsets;

/** A fault of a loaded model's device, caused from where its context can be reached. */
public final class BrokenDevice {
  private static final String WRITES_NOWHERE =
      """
      .version 7.0
      .target sm_80
      .address_size 64
      .visible .entry write_nowhere(.param .u64 at)
      {
        .reg .b64 %rd<2>;
        .reg .b32 %r<2>;
        ld.param.u64 %rd1, [at];
        mov.u32 %r1, 1;
        st.global.u32 [%rd1], %r1;
        ret;
      }
      """;

  private BrokenDevice() {}

  /** Faults the model's context, and throws what that throws. */
  public static void fault(LoadedModel model) {
    CudaContext context = ((DeviceModel) model).context();
    context.load("write_nowhere", (WRITES_NOWHERE + "\0").getBytes(StandardCharsets.US_ASCII));
    CudaStream stream = context.newStream();
    stream.launch(context.kernel("write_nowhere"), Launch.of(3, 32), 0L);
    stream.synchronize();
    throw new AssertionError("a write to nowhere was no fault");
  }
}
