package io.rollcall.engine.runner;

import io.rollcall.engine.sparsity.Correction;
import io.rollcall.engine.sparsity.Corrections;
import io.rollcall.kernels.Kernels;
import io.rollcall.kernels.WeightMatrix;
import java.util.List;
import java.util.stream.IntStream;

/** Adds c + U (V x) to the sparse outputs of layers. */
final class OutputCorrection {
  private final Kernels kernels;
  private final List<Layer> layers;
  private final float[] reduced;
  private final float[] mapped;

  /**
   * @param bias [bucket][d]
   * @param down V [r x d]; null for c alone
   * @param up U [d x r]
   */
  private record Layer(float[][] bias, WeightMatrix down, WeightMatrix up) {
    static Layer of(Correction correction) {
      float[][] bias =
          IntStream.range(0, correction.bias().length)
              .mapToObj(correction::bias)
              .toArray(float[][]::new);
      return correction.rank() == 0
          ? new Layer(bias, null, null)
          : new Layer(bias, correction.downMatrix(), correction.upMatrix());
    }
  }

  /**
   * @param corrections null for none
   * @param batchSize most sequences in a step
   */
  OutputCorrection(Kernels kernels, Corrections corrections, int hidden, int batchSize) {
    this.kernels = kernels;
    layers =
        corrections == null ? List.of() : corrections.layers().stream().map(Layer::of).toList();
    int rank = corrections == null ? 0 : corrections.rank();
    reduced = new float[batchSize * rank];
    mapped = new float[rank == 0 ? 0 : batchSize * hidden];
  }

  /**
   * y += c + U (V x); nothing without corrections.
   *
   * @param x [batch x d]
   * @param y [batch x d]
   */
  void add(int layer, int bucket, float[] x, int batch, float[] y) {
    if (layers.isEmpty()) {
      return;
    }
    Layer correction = layers.get(layer);
    float[] bias = correction.bias[Math.min(bucket, correction.bias.length - 1)];
    for (int b = 0; b < batch; b++) {
      for (int i = 0; i < bias.length; i++) {
        y[b * bias.length + i] += bias[i];
      }
    }
    if (correction.down != null) {
      kernels.matmul(correction.down, x, batch, reduced);
      kernels.matmul(correction.up, reduced, batch, mapped);
      kernels.add(y, mapped, batch * bias.length);
    }
  }
}
