package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.model.ModelConfig;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.Attention;
import io.rollcall.kernels.cuda.Cublas;
import io.rollcall.kernels.cuda.DecodeProducts;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;
import io.rollcall.kernels.cuda.StepMemory;

/**
 * A decode step's attention and the projections around it: by our kernels, or by the node's cuBLAS where a
 * step is the faster for it (DecodeBenchmark): with 16-bit weights, queries, keys and values of more
 * sequences than one block holds the activations of, and the output of more than 32.
 */
final class DecodeAttention {
  private static final int MOST_OUTPUT = 32;

  private final RunnerState runner;
  private final DeviceBuffer queries;
  /** Query, key and value before their rotation, f32; null where cuBLAS is never asked. */
  private final DeviceBuffer unrotated;

  private final DeviceBuffer attended;
  private final DeviceBuffer scratch;

  /** @param rows most of a step, padding included */
  DecodeAttention(RunnerState runner, int rows) {
    this.runner = runner;
    Allocations held = runner.held;
    StepMemory memory = runner.memory;
    ModelConfig config = runner.config;
    int columns = runner.model.layout().headColumns();
    DeviceMatrix first = runner.model.weights().layers().get(0).queryKeyValue();
    queries = held.keep(memory.allocate("queries", (long) rows * columns * Short.BYTES));
    unrotated =
        cublas(first, rows, DecodeProducts.MOST_HELD)
            ? held.keep(
                memory.allocate(
                    "unrotated queries, keys and values",
                    (long) rows * first.rows() * Float.BYTES))
            : null;
    attended = held.keep(memory.allocate("attention", (long) rows * columns * Short.BYTES));
    scratch =
        held.keep(
            memory.allocate(
                "attention's partial results",
                Attention.decodeScratchBytes(
                    runner.context.device(), config.heads(), config.kvHeads(), config.headSize())));
    runner.stream.zero(scratch, 0, scratch.bytes());
  }

  private boolean cublas(DeviceMatrix weights, int rows, int most) {
    return runner.gemm instanceof Cublas && weights.type() == WeightType.F16 && rows > most;
  }

  /** Queries, keys and values of x, the last two to their pages, and attention. */
  void attend(int layer, DeviceBuffer x, int rows) {
    DeviceMatrix weights = runner.model.weights().layers().get(layer).queryKeyValue();
    if (cublas(weights, rows, DecodeProducts.MOST_HELD)) {
      runner.gemm.multiplyTransposed(
          x, weights.elements(), unrotated, true, rows, weights.rows(), weights.columns(), 0);
      runner.attention.decodeRotating(
          runner.stream, runner.rotation, runner.pages(), layer, runner.state(), rows, unrotated,
          attended, scratch);
    } else {
      runner.products.queryKeyValue(
          runner.stream, weights, x, rows, runner.state(), heads(layer));
      runner.attention.decode(
          runner.stream, runner.pages(), layer, runner.state(), rows, queries, attended, scratch);
    }
  }

  private DecodeProducts.Heads heads(int layer) {
    return new DecodeProducts.Heads(
        runner.config.heads(),
        runner.config.kvHeads(),
        runner.config.headSize(),
        runner.rotation.cosines(),
        runner.rotation.sines(),
        runner.pages().table(),
        runner.pages().shape().maxPages(),
        runner.pages().keys(layer),
        runner.pages().values(layer),
        queries);
  }

  /** Summands of {@link #output}. */
  int outputSplits(int rows) {
    DeviceMatrix weights = runner.model.weights().layers().get(0).output();
    return cublas(weights, rows, MOST_OUTPUT) ? 1 : runner.products.projectSplits(weights, rows);
  }

  /**
   * The output projection of what {@link #attend} left.
   *
   * @param sums f32 [outputSplits x rows x d]
   */
  void output(int layer, int rows, DeviceBuffer sums) {
    DeviceMatrix weights = runner.model.weights().layers().get(layer).output();
    if (cublas(weights, rows, MOST_OUTPUT)) {
      runner.gemm.multiplyTransposed(
          attended, weights.elements(), sums, true, rows, weights.rows(), weights.columns(), 0);
    } else {
      runner.products.projectSplit(runner.stream, weights, attended, rows, sums);
    }
  }
}
