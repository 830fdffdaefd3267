package io.rollcall.engine.runner.cuda;

import io.rollcall.kernels.Float16;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;
import io.rollcall.kernels.cuda.PinnedBuffer;
import io.rollcall.kernels.cuda.Quantiser;
import java.nio.ShortBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * Euclidean norms of the down projections' rows, for s-countdown-oracle and neuron scales: of the
 * weights as they are computed with, found when they are first asked for.
 */
final class DownNorms {
  private final CudaContext context;
  private final DeviceWeights weights;
  private List<float[]> layers;

  DownNorms(CudaContext context, DeviceWeights weights) {
    this.context = context;
    this.weights = weights;
  }

  /** [layer][f]. */
  synchronized List<float[]> get() {
    if (layers == null) {
      List<float[]> norms = new ArrayList<>();
      try (Allocations held = new Allocations(context)) {
        DeviceMatrix any = weights.layers().get(0).down();
        long bytes = WeightType.F16.bytes((long) any.rows() * any.columns());
        CudaStream stream = held.keep(context.newStream());
        DeviceBuffer rows = held.device("a down projection's rows", bytes);
        PinnedBuffer host = held.pinned(bytes);
        for (DeviceLayer layer : weights.layers()) {
          norms.add(norms(stream, layer.down(), rows, host));
        }
      }
      layers = norms;
    }
    return layers;
  }

  private float[] norms(
      CudaStream stream, DeviceMatrix down, DeviceBuffer rows, PinnedBuffer host) {
    DeviceBuffer f16 = down.elements();
    if (down.type().quantised()) {
      new Quantiser(context).dequantise(stream, down, rows);
      f16 = rows;
    }
    stream.download(host, 0, f16, 0, rows.bytes());
    stream.synchronize();
    ShortBuffer elements = host.bytes().asShortBuffer();
    float[] norms = new float[down.rows()];
    short[] row = new short[down.columns()];
    for (int r = 0; r < norms.length; r++) {
      elements.get(r * row.length, row);
      double squares = 0;
      for (short bits : row) {
        float value = Float16.toFloat(bits);
        squares += (double) value * value;
      }
      norms[r] = (float) Math.sqrt(squares);
    }
    return norms;
  }
}
