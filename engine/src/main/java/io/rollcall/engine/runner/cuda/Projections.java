package io.rollcall.engine.runner.cuda;

import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.Cublas;
import io.rollcall.kernels.cuda.DecodeProducts;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;

/**
 * The projections around a decode step's attention: by our kernels, or by the node's cuBLAS where a step
 * is the faster for it (DecodeBenchmark): with 16-bit weights, queries, keys and values of more sequences
 * than one block holds the activations of, and the output of more than 32.
 */
final class Projections {
  private static final int MOST_OUTPUT = 32;

  private final RunnerState runner;
  private final DeviceBuffer queries;
  /** Query, key and value before their rotation, f32; null where cuBLAS is never asked. */
  private final DeviceBuffer unrotated;

  /**
   * @param rows most of a step, padding included
   * @param queries f16 [rows x heads * headSize], where rotated queries go
   */
  Projections(RunnerState runner, int rows, DeviceBuffer queries) {
    this.runner = runner;
    this.queries = queries;
    DeviceMatrix first = runner.model.weights().layers().get(0).queryKeyValue();
    unrotated =
        cublas(first, rows, DecodeProducts.MOST_HELD)
            ? runner.held.device(
                "unrotated queries, keys and values", (long) rows * first.rows() * Float.BYTES)
            : null;
  }

  private boolean cublas(DeviceMatrix weights, int rows, int most) {
    return runner.gemm instanceof Cublas && weights.type() == WeightType.F16 && rows > most;
  }

  /** Rotated queries to their buffer, keys and values to their pages. */
  void queryKeyValue(int layer, DeviceBuffer x, int rows) {
    DeviceMatrix weights = runner.model.weights().layers().get(layer).queryKeyValue();
    if (cublas(weights, rows, DecodeProducts.MOST_HELD)) {
      runner.gemm.multiplyTransposed(
          x, weights.elements(), unrotated, true, rows, weights.rows(), weights.columns(), 0);
      runner.attention.ropeWriteStep(
          runner.stream, runner.rotation, runner.pages(), layer, unrotated, true, runner.state(),
          rows, queries);
    } else {
      runner.products.queryKeyValue(
          runner.stream, weights, x, rows, runner.state(), heads(layer));
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

  /** @param sums f32 [outputSplits x rows x d] */
  void output(int layer, DeviceBuffer attended, int rows, DeviceBuffer sums) {
    DeviceMatrix weights = runner.model.weights().layers().get(layer).output();
    if (cublas(weights, rows, MOST_OUTPUT)) {
      runner.gemm.multiplyTransposed(
          attended, weights.elements(), sums, true, rows, weights.rows(), weights.columns(), 0);
    } else {
      runner.products.projectSplit(runner.stream, weights, attended, rows, sums);
    }
  }
}
