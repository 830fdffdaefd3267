package io.rollcall.kernels.cuda;

import io.rollcall.kernels.cuda.DecodeFeedForward.Call;

/**
 * The down projection over a step's union: the sum of its rows, weighted by the neurons' coefficients
 * (sum_stream.cu, wide_sum.cu, sum_rows.cu). Belongs to one stream.
 */
final class UnionSum implements AutoCloseable {
  private final CudaContext context;
  private final int hidden;
  private final int intermediate;
  private final DeviceBuffer counters;

  UnionSum(CudaContext context, int hidden, int intermediate) {
    this.context = context;
    this.hidden = hidden;
    this.intermediate = intermediate;
    counters = context.allocate("who knows the union", 2L * Integer.BYTES);
    try (CudaStream stream = context.newStream()) {
      stream.zero(counters, 0, counters.bytes());
      stream.synchronize();
    }
  }

  /** Summands of the output. */
  int splits(int batch) {
    int columns = DecodeShapes.ceil(hidden, DecodeShapes.SUM_COLUMNS);
    int multiprocessors = context.device().multiprocessors();
    int blocks =
        DecodeShapes.tile(batch) <= DecodeShapes.MOST_HELD ? 2 * multiprocessors : multiprocessors;
    // a block lists its rows in shared memory
    int least = DecodeShapes.ceil(intermediate, DecodeShapes.MOST_LISTED);
    int most = Math.min(DecodeShapes.MOST_SPLITS, intermediate / 32);
    return Math.max(least, Math.min(most, blocks / columns));
  }

  /**
   * What the kernel in front is to be given to say when it knows the union (known_union.cuh); null where
   * the sum waits for its end.
   */
  DeviceBuffer counters(Call call) {
    return kernel(call).asks() ? counters : null;
  }

  /**
   * Puts the sum on the stream.
   *
   * @param union its bits, or null for all rows
   * @param sayers blocks or clusters of the kernel just launched that say when they know the union, all
   *     given {@link #counters}; 0 for none
   */
  void step(
      CudaStream stream, Call call, DeviceBuffer coefficients, DeviceBuffer union, int sayers) {
    Kernel kernel = kernel(call);
    DeviceMatrix down = call.layer().down();
    Launch launch =
        Launch.of(
                DecodeShapes.ceil(hidden, DecodeShapes.SUM_COLUMNS), splits(call.batch()),
                kernel.threads())
            .withShared(kernel.shared())
            .withOverlap();
    CudaKernel code =
        context.kernel(
            DecodeShapes.kernel(kernel.name(), down.type(), DecodeShapes.tile(call.batch())));
    Object[] arguments = {
      down.elements(), down.scales(), coefficients, intermediate, hidden, call.batch(), call.state(),
      call.records(), call.index(), call.layers(), union
    };
    DeviceBuffer known = sayers == 0 ? null : counters;
    if (kernel.stages() > 0) {
      stream.launch(code, launch, arguments, known, sayers, kernel.stages(), call.y());
    } else if (kernel.asks()) {
      stream.launch(code, launch, arguments, known, sayers, call.y());
    } else {
      stream.launch(code, launch, arguments, call.y());
    }
  }

  /**
   * Which kernel it is.
   *
   * @param asks whether it asks for weights before it has coefficients
   * @param stages of wide_sum's ring, else 0
   */
  private record Kernel(String name, boolean asks, int threads, int shared, int stages) {}

  private Kernel kernel(Call call) {
    int tile = DecodeShapes.tile(call.batch());
    DeviceMatrix down = call.layer().down();
    int rows = DecodeShapes.ceil(intermediate, splits(call.batch()));
    int most = context.device().sharedBytesPerBlock();
    boolean copied = DecodeShapes.bulkCopied(down.type(), hidden);
    if (copied && WideShape.runs(context.device(), tile)) {
      int list = DecodeShapes.wideSumBytes(rows);
      int stage = DecodeShapes.wideSumStageBytes(down.type(), tile);
      int stages = Math.min(DecodeShapes.MOST_WIDE_SUM_STAGES, (most - list) / stage);
      if (stages >= DecodeShapes.LEAST_WIDE_SUM_STAGES) {
        return new Kernel(
            "wide_sum", true, DecodeShapes.WIDE_SUM_THREADS, stages * stage + list, stages);
      }
    }
    if (copied && context.device().major() >= 9 && tile <= DecodeShapes.MOST_HELD) {
      int shared = DecodeShapes.sumStreamBytes(down.type(), tile, rows);
      if (DecodeShapes.fits(context.device(), shared)) {
        return new Kernel("sum_stream", true, DecodeShapes.SUM_STREAM_THREADS, shared, 0);
      }
    }
    return new Kernel(
        "sum_rows", false, DecodeShapes.COLUMN_THREADS,
        DecodeShapes.columnRingBytes(down.type(), tile, rows), 0);
  }

  @Override
  public void close() {
    counters.close();
  }
}
