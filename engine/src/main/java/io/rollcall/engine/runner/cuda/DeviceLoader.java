package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.TensorSource;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.model.ModelTensors;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;
import io.rollcall.kernels.cuda.Elementwise;
import io.rollcall.kernels.cuda.PinnedBuffer;
import io.rollcall.kernels.cuda.Quantiser;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Brings a checkpoint's tensors to the device in large copies and gives them their layout there:
 * stacked, transposed, quantised; 16-bit weights become f16 there, in place.
 */
final class DeviceLoader implements AutoCloseable {
  private final CudaContext context;
  private final String model;
  private final ModelTensors tensors;
  private final ModelConfig config;
  private final DeviceLayout layout;
  private final Allocations held;
  private final CudaStream stream;
  private final StagingRing ring;
  private final Elementwise elementwise;
  private final Quantiser quantiser;
  /** A chunk as stored, one in f16, and a whole down projection on its way to be quantised. */
  private final DeviceBuffer stored;
  private final DeviceBuffer converted;
  private final DeviceBuffer transposed;
  /** int: whether f16 has had no room for a weight. */
  private final DeviceBuffer beyond;

  DeviceLoader(CudaContext context, String model, ModelTensors tensors, DeviceLayout layout) {
    this.context = context;
    this.model = model;
    this.tensors = tensors;
    this.layout = layout;
    config = tensors.config();
    elementwise = new Elementwise(context);
    quantiser = new Quantiser(context);
    held = new Allocations(context);
    try {
      stream = held.keep(context.newStream());
      ring = held.keep(new StagingRing(context, stream));
      stored = held.device("weights being loaded", StagingRing.BYTES);
      converted = held.device("weights being loaded", StagingRing.BYTES);
      transposed =
          layout.feedForward().quantised()
              ? held.device("a down projection being quantised", downBytes(config))
              : null;
      beyond = held.device("the range of the weights", Integer.BYTES);
      stream.zero(beyond, 0, Integer.BYTES);
    } catch (RuntimeException e) {
      held.close();
      throw e;
    }
  }

  /** Bytes it needs on the device while it loads, the weights not counted. */
  static long scratchBytes(DeviceLayout layout) {
    return 2L * StagingRing.BYTES
        + (layout.feedForward().quantised() ? downBytes(layout.config()) : 0);
  }

  private static long downBytes(ModelConfig config) {
    return WeightType.F16.bytes((long) config.intermediateSize() * config.hiddenSize());
  }

  /**
   * Returns when everything is on the device.
   *
   * @throws UserException when a weight is beyond f16's range
   */
  DeviceWeights load() {
    int vocabulary = config.vocabulary();
    int d = config.hiddenSize();
    DeviceMatrix table =
        DeviceMatrix.allocate(
            context, "the embedding table", WeightType.F16, vocabulary, d);
    fill(tensors.embedding(), table);
    List<DeviceLayer> layers =
        IntStream.range(0, config.layers()).mapToObj(this::layer).toList();
    DeviceMatrix head = table;
    if (layout.ownHead()) {
      head = allocate("the head", layout.projections(), vocabulary, d);
      fill(tensors.head(), head);
    }
    DeviceBuffer norm = vector(tensors.norm());
    requireRange();
    return new DeviceWeights(table.elements(), layers, norm, head, layout.bytes());
  }

  private DeviceLayer layer(int index) {
    ModelTensors.Layer source = tensors.layer(index);
    String of = " of layer " + index;
    int d = config.hiddenSize();
    int f = config.intermediateSize();
    int queries = config.heads() * config.headSize();
    int keys = config.kvHeads() * config.headSize();
    DeviceMatrix queryKeyValue =
        allocate("the attention weights" + of, layout.projections(), layout.queryKeyValueRows(), d);
    fill(source.query(), queryKeyValue.rowRange(0, queries));
    fill(source.key(), queryKeyValue.rowRange(queries, keys));
    fill(source.value(), queryKeyValue.rowRange(queries + keys, keys));
    DeviceMatrix output =
        allocate("the output projection" + of, layout.projections(), d, queries);
    fill(source.output(), output);
    DeviceMatrix gateUp =
        allocate("the gate and up projections" + of, layout.feedForward(), 2 * f, d);
    fill(source.gate(), gateUp.rowRange(0, f));
    fill(source.up(), gateUp.rowRange(f, f));
    DeviceMatrix down = allocate("the down projection" + of, layout.feedForward(), f, d);
    fillTransposed(source.down(), down);
    return new DeviceLayer(
        vector(source.attentionNorm()),
        queryKeyValue,
        output,
        vector(source.feedForwardNorm()),
        gateUp,
        down);
  }

  private DeviceMatrix allocate(String what, WeightType type, int rows, int columns) {
    return DeviceMatrix.allocate(context, what, type, rows, columns);
  }

  private interface Chunk {
    /** Rows [from, from + count) of the tensor are in {@link #stored}, as the checkpoint has them. */
    void take(int from, int count);
  }

  /** @param source of the matrix's shape */
  private void fill(TensorSource source, DeviceMatrix to) {
    WeightType type = source.type();
    if (to.type().quantised()) {
      chunks(
          source,
          to.rows(),
          to.columns(),
          (from, count) -> quantiser.quantise(stream, type, stored, to.rowRange(from, count)));
    } else if (type == WeightType.F32) {
      chunks(
          source,
          to.rows(),
          to.columns(),
          (from, count) ->
              elementwise.toF16(
                  stream,
                  type,
                  stored,
                  to.rowRange(from, count).elements(),
                  (long) count * to.columns(),
                  beyond));
    } else {
      for (long at = 0; at < source.bytes(); at += StagingRing.BYTES) {
        long length = Math.min(StagingRing.BYTES, source.bytes() - at);
        ring.upload(source.map(at, length), to.elements(), at);
        f16(type, to.elements().slice(at, length), length / Short.BYTES);
      }
    }
  }

  /** @param source [columns x rows] of the matrix */
  private void fillTransposed(TensorSource source, DeviceMatrix to) {
    boolean quantised = to.type().quantised();
    // 16-bit weights are quantised as they are
    WeightType type =
        quantised && source.type() == WeightType.BF16 ? WeightType.BF16 : WeightType.F16;
    DeviceBuffer target = quantised ? transposed : to.elements();
    chunks(
        source,
        to.columns(),
        to.rows(),
        (from, count) ->
            elementwise.transpose(
                stream,
                type == WeightType.BF16 ? stored : f16(source.type(), stored, (long) count * to.rows()),
                count,
                to.rows(),
                target,
                to.columns(),
                from));
    if (quantised) {
      quantiser.quantise(stream, type, transposed, to);
    }
  }

  /** Elements as f16: in place where they take as much room. */
  private DeviceBuffer f16(WeightType type, DeviceBuffer elements, long n) {
    if (type == WeightType.F16) {
      return elements;
    }
    DeviceBuffer to = type == WeightType.F32 ? converted : elements;
    elementwise.toF16(stream, type, elements, to, n, beyond);
    return to;
  }

  private void requireRange() {
    try (PinnedBuffer found = context.allocatePinned(Integer.BYTES)) {
      stream.download(found, 0, beyond, 0, Integer.BYTES);
      stream.synchronize();
      if (found.bytes().getInt(0) != 0) {
        throw new UserException(
            "model '" + model + "' has weights beyond 65504, or that are no numbers: the CUDA"
                + " backend keeps them in f16; use --backend cpu");
      }
    }
  }

  /** A tensor [rows x columns], even numbers of rows at a time but for the last. */
  private void chunks(TensorSource source, int rows, int columns, Chunk chunk) {
    long rowBytes = source.type().bytes(columns);
    int most = (int) (StagingRing.BYTES / rowBytes) & ~1;
    for (int from = 0; from < rows; from += most) {
      int count = Math.min(most, rows - from);
      ring.upload(source.map(from * rowBytes, count * rowBytes), stored, 0);
      chunk.take(from, count);
    }
  }

  /** f32. */
  private DeviceBuffer vector(TensorSource source) {
    ByteBuffer values = Uploads.bytes(source.whole().floats());
    DeviceBuffer buffer = context.allocate(source.name(), values.capacity());
    stream.upload(buffer, 0, values);
    return buffer;
  }

  @Override
  public void close() {
    held.close();
  }
}
