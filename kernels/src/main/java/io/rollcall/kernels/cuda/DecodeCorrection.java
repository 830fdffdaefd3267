package io.rollcall.kernels.cuda;

/**
 * Corrections of layers' sparse outputs in a decode step: one more summand, c + U (V x), zero where the
 * layer ran dense (correction.cu). Belongs to one stream.
 */
public final class DecodeCorrection implements AutoCloseable {
  private static final int THREADS = 256;

  private final CudaContext context;
  private final DecodeProducts products;
  private final DeviceBuffer reduced;

  /**
   * A layer's.
   *
   * @param bias c, f32 [buckets x d], a row for every batch bucket of a step
   * @param down V, F16 [r x d]; null for c alone
   * @param up U, F16 [d x r]; r a multiple of 64
   */
  public record Layer(DeviceBuffer bias, DeviceMatrix down, DeviceMatrix up) {}

  /**
   * @param products whose scratch is shared
   * @param mostRank r of any layer
   */
  public DecodeCorrection(
      DeviceMemory memory, DecodeProducts products, int mostRank, int mostBatch) {
    context = memory.context();
    this.products = products;
    reduced =
        memory.allocate(
            "a correction's hidden", 2L * DecodeShapes.tile(mostBatch) * Math.max(mostRank, 1));
  }

  /**
   * Puts the summand of a layer's step on the stream, after the step itself.
   *
   * @param y f32 [batch x d]
   */
  public void add(CudaStream stream, Layer layer, DecodeFeedForward.Call call, DeviceBuffer y) {
    int d = call.layer().down().columns();
    int batch = call.batch();
    if (layer.down() != null) {
      products.hidden(stream, layer.down(), call.x(), batch, reduced);
      products.project(stream, layer.up(), reduced, batch, y);
    }
    stream.launch(
        context.kernel("correction_add"),
        Launch.of(DecodeShapes.ceil(d, 4 * THREADS), batch, THREADS).withOverlap(),
        layer.bias(), layer.down() == null ? 0 : 1, call.state(), call.records(), call.index(),
        call.layers(), call.rule().own() ? 1 : 0, d, y);
  }

  @Override
  public void close() {
    reduced.close();
  }
}
