package io.rollcall.kernels.cuda;

import io.rollcall.kernels.WeightType;

/**
 * Weights to INT8 or INT4 on the device, and back to f16 for products of many rows. The values are bit
 * for bit those of {@link io.rollcall.kernels.WeightMatrix#quantise}. Work is put on the stream given.
 */
public final class Quantiser {
  private static final int THREADS = 256;

  private final CudaContext context;

  public Quantiser(CudaContext context) {
    this.context = context;
  }

  /**
   * Fills a quantised matrix.
   *
   * @param type of the source: BF16, F16 or F32
   * @param source [to.rows x to.columns]
   * @param to INT8 or INT4
   */
  public void quantise(CudaStream stream, WeightType type, DeviceBuffer source, DeviceMatrix to) {
    if (type.quantised() || !to.type().quantised()) {
      throw new IllegalArgumentException("cannot quantise " + type + " to " + to.type());
    }
    long eights = (long) to.rows() * to.columns() / 8;
    stream.launch(
        context.kernel("quantise_" + Elementwise.lower(type) + "_" + Elementwise.lower(to.type())),
        Launch.of(Elementwise.blocks(eights), THREADS),
        source, to.elements(), to.scales(), eights);
  }

  /**
   * Unpacks a quantised matrix; {@link DeviceMatrix#rowRange} for a part of one.
   *
   * @param from INT8 or INT4
   * @param out f16 [from.rows x from.columns]
   */
  public void dequantise(CudaStream stream, DeviceMatrix from, DeviceBuffer out) {
    if (!from.type().quantised()) {
      throw new IllegalArgumentException("a matrix of " + from.type() + " is not quantised");
    }
    long eights = (long) from.rows() * from.columns() / 8;
    stream.launch(
        context.kernel("dequantise_" + Elementwise.lower(from.type())),
        Launch.of(Elementwise.blocks(eights), THREADS).withOverlap(),
        from.elements(), from.scales(), out, eights);
  }
}
