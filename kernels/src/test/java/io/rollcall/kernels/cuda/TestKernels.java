package io.rollcall.kernels.cuda;

import java.nio.charset.StandardCharsets;

/** Kernels small enough to be written in PTX, for tests of the driver layer alone. */
final class TestKernels {
  private static final String TEXT =
      """
      .version 7.8
      .target TARGET
      .address_size 64

      // write_nowhere(int* at): *at = 1
      .visible .entry write_nowhere(.param .u64 at)
      {
        .reg .b64 %rd<3>;
        .reg .b32 %r<2>;
        ld.param.u64 %rd1, [at];
        mov.u32 %r1, 1;
        st.global.u32 [%rd1], %r1;
        ret;
      }

      // add(int* values, int n, int what, float unused): values[i] += what for i < n, one block;
      // may overlap with the kernel before it
      .visible .entry add(.param .u64 values, .param .u32 n, .param .u32 what, .param .f32 unused)
      {
        .reg .b64 %rd<5>;
        .reg .b32 %r<8>;
        .reg .pred %p<2>;
        DEPEND
        ld.param.u64 %rd1, [values];
        ld.param.u32 %r1, [n];
        ld.param.u32 %r2, [what];
        mov.u32 %r3, %tid.x;
        setp.ge.s32 %p1, %r3, %r1;
        @%p1 ret;
        cvta.to.global.u64 %rd2, %rd1;
        mul.wide.s32 %rd3, %r3, 4;
        add.s64 %rd4, %rd2, %rd3;
        ld.global.u32 %r4, [%rd4];
        add.s32 %r5, %r4, %r2;
        st.global.u32 [%rd4], %r5;
        ret;
      }
      """;

  private TestKernels() {}

  static void load(CudaContext context) {
    boolean overlaps = context.device().major() >= 9;
    String text =
        TEXT.replace("TARGET", overlaps ? "sm_90" : "sm_80")
            .replace("DEPEND", overlaps ? "griddepcontrol.launch_dependents; griddepcontrol.wait;" : "");
    context.load("tests", (text + "\0").getBytes(StandardCharsets.US_ASCII));
  }

}
