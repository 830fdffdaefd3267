package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.model.Rope;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.engine.text.TextTokenizer;
import io.rollcall.kernels.Activation;
import io.rollcall.kernels.Float16;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.CudaDevice;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;

/**
 * A model of any shape with random weights, made on the device: what is timed when no checkpoint of the
 * shape is at hand. Weights have the deviation of 1/sqrt(4096), so that activations stay of ordinary
 * size; quantised ones are drawn as quantised numbers and scaled to it.
 */
final class RandomDeviceModel {
  private static final double DEVIATION = 1.0 / 64;
  /** Of the noise that is repeated through the weights; prime, so that rows do not repeat. */
  private static final int NOISE_ELEMENTS = 4_000_037;

  private final CudaContext context;
  private final CudaStream stream;
  private final DeviceLayout layout;
  private final DeviceBuffer noise;

  private RandomDeviceModel(CudaContext context, DeviceLayout layout, long seed) {
    this.context = context;
    this.layout = layout;
    stream = context.newStream();
    Random random = new Random(seed);
    ByteBuffer values = Uploads.direct(Short.BYTES * NOISE_ELEMENTS);
    for (int i = 0; i < NOISE_ELEMENTS; i++) {
      values.putShort(2 * i, (short) Float16.fromFloat((float) (random.nextGaussian() * DEVIATION)));
    }
    noise = upload("noise", values);
  }

  /** Llama-3.1-8B: 32 layers, d 4096, f 14336, 32 heads and 8 for keys and values, vocabulary 128256. */
  static ModelConfig llama8b() {
    float[] frequencies = new float[64];
    for (int i = 0; i < frequencies.length; i++) {
      frequencies[i] = (float) Math.pow(500_000, -i / 64.0);
    }
    return new ModelConfig(
        "llama", 32, 4096, 14336, 32, 8, 128, 128256, 131072, 1e-5f, new Rope(frequencies),
        Activation.SILU, false, 0, Set.of(1));
  }

  /**
   * @param weights of the feed-forward; the layout follows from it as for a checkpoint
   * @param seed of the noise
   */
  static DeviceModel create(
      String name, ModelConfig config, WeightType weights, CudaDevice device, long seed) {
    DeviceLayout layout = DeviceLayout.of(name, config, weights);
    CudaContext context = CudaContext.open(device);
    try {
      var maker = new RandomDeviceModel(context, layout, seed);
      DeviceWeights made = maker.weights();
      maker.stream.synchronize();
      maker.noise.close();
      maker.stream.close();
      // the built-in tokenizer stands in: nothing is tokenized
      ModelFiles files = ModelFiles.locate("builtin:summarizer-20m");
      TextTokenizer tokenizer = TextTokenizer.load(files);
      PromptTemplate template = PromptTemplate.defaultOf(files, tokenizer);
      return new DeviceModel(
          new Model(name, "random", config, tokenizer, template), context, layout, made);
    } catch (RuntimeException | Error e) {
      context.close();
      throw e;
    }
  }

  private DeviceWeights weights() {
    ModelConfig config = layout.config();
    int d = config.hiddenSize();
    DeviceMatrix embedding = matrix(WeightType.F16, config.vocabulary(), d);
    List<DeviceLayer> layers = new ArrayList<>();
    for (int i = 0; i < config.layers(); i++) {
      layers.add(
          new DeviceLayer(
              ones(d),
              matrix(layout.projections(), layout.queryKeyValueRows(), d),
              matrix(layout.projections(), d, layout.headColumns()),
              ones(d),
              matrix(layout.feedForward(), 2 * config.intermediateSize(), d),
              matrix(layout.feedForward(), config.intermediateSize(), d)));
    }
    DeviceMatrix head =
        layout.ownHead() ? matrix(layout.projections(), config.vocabulary(), d) : embedding;
    return new DeviceWeights(embedding.elements(), layers, ones(d), head, layout.bytes());
  }

  private DeviceMatrix matrix(WeightType type, int rows, int columns) {
    DeviceMatrix matrix = DeviceMatrix.allocate(context, "random weights", type, rows, columns);
    if (!type.quantised()) {
      repeat(noise, matrix.elements());
      return matrix;
    }
    // uniform numbers of so many bits have a deviation of 2^bits / sqrt(12)
    double deviation = (type == WeightType.INT4 ? 16 : 256) / Math.sqrt(12);
    try (DeviceBuffer numbers = upload("noise", uniform(type));
        DeviceBuffer scale = upload("scales", halves((float) (DEVIATION / deviation)))) {
      repeat(numbers, matrix.elements());
      repeat(scale, matrix.scales());
      stream.synchronize();
    }
    return matrix;
  }

  /** Of mean zero: nibbles are v + 8 for v from -7 to 7, and -8 would be one value too many below. */
  private static ByteBuffer uniform(WeightType type) {
    byte[] bytes = new byte[NOISE_ELEMENTS];
    new Random(3).nextBytes(bytes);
    if (type == WeightType.INT4) {
      for (int i = 0; i < bytes.length; i++) {
        bytes[i] |= (byte) (((bytes[i] & 0x0f) == 0 ? 0x08 : 0) | ((bytes[i] & 0xf0) == 0 ? 0x80 : 0));
      }
    }
    ByteBuffer buffer = Uploads.direct(bytes.length);
    buffer.put(0, bytes);
    return buffer;
  }

  private static ByteBuffer halves(float value) {
    ByteBuffer buffer = Uploads.direct(1 << 20);
    for (int i = 0; i < buffer.capacity(); i += Short.BYTES) {
      buffer.putShort(i, half(value));
    }
    return buffer;
  }

  /** f16 of a value of its normal range, cut off. */
  private static short half(float value) {
    return (short) ((Float.floatToRawIntBits(value) - (112 << 23)) >>> 13);
  }

  private DeviceBuffer ones(int n) {
    float[] values = new float[n];
    Arrays.fill(values, 1);
    return upload("a norm", Uploads.bytes(values));
  }

  private DeviceBuffer upload(String what, ByteBuffer values) {
    DeviceBuffer buffer = context.allocate(what, values.capacity());
    stream.upload(buffer, 0, values);
    stream.synchronize();
    return buffer;
  }

  private void repeat(DeviceBuffer from, DeviceBuffer to) {
    for (long at = 0; at < to.bytes(); at += from.bytes()) {
      stream.copy(to, at, from, 0, Math.min(from.bytes(), to.bytes() - at));
    }
  }
}
