package io.rollcall.kernels.cuda;

import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.Elementwise.Norm;
import io.rollcall.kernels.cuda.Elementwise.Partials;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Microseconds of what a decode step of the Llama-3.1-8B shape does besides feed-forward and attention
 * ({@link FeedForwardBenchmark}, {@link AttentionBenchmark}): each kernel after its like, and a layer's
 * four as they follow each other, against the time of their bytes at the copy rate of the same run, and
 * for products cuBLAS. Random weights, many layers of them in turn so that L2 holds none; CUDA graphs,
 * replayed; medians.
 *
 * <p>Prints a JSON line a point. {@code bin/gpu-check --only parts} runs it; arguments: {@code
 * [weights=f16,int8,int4] [batches=1,8,16,32,64]}.
 */
public final class LayerPartsBenchmark {
  private static final int D = 4096;
  private static final int HEADS = 32;
  private static final int KV_HEADS = 8;
  private static final int HEAD_SIZE = 128;
  private static final int POSITIONS = 64;
  private static final int DOWN_SPLITS = 8;
  private static final int LAYERS = 8;
  private static final int REPLAYS = 40;

  private final CudaContext context = CudaContext.open(CudaDevice.all().get(0));
  private final CudaStream stream = context.newStream();
  private final Optional<Cublas> cublas = Cublas.open(context, stream);
  private final Elementwise elementwise = new Elementwise(context);
  private final double bytesPerMicro = DeviceRates.copyBytesPerMicro(context, stream);
  private final RandomWeights random = new RandomWeights(context, stream);

  public static void main(String[] arguments) {
    var options = new BenchmarkArguments(arguments);
    var benchmark = new LayerPartsBenchmark();
    for (String weights : options.list("weights", "f16,int8,int4")) {
      WeightType type = WeightType.valueOf(weights.toUpperCase(Locale.ROOT));
      List<DeviceMatrix> queryKeyValue = new ArrayList<>();
      List<DeviceMatrix> output = new ArrayList<>();
      for (int layer = 0; layer < LAYERS; layer++) {
        queryKeyValue.add(
            benchmark.random.matrix(type, (HEADS + 2 * KV_HEADS) * HEAD_SIZE, D));
        output.add(benchmark.random.matrix(type, D, D));
      }
      for (String batch : options.list("batches", "1,8,16,32,64")) {
        benchmark.run(queryKeyValue, output, Integer.parseInt(batch));
      }
      queryKeyValue.forEach(DeviceMatrix::free);
      output.forEach(DeviceMatrix::free);
    }
  }

  private interface Work {
    void layer(int layer);
  }

  private void run(List<DeviceMatrix> queryKeyValue, List<DeviceMatrix> output, int batch) {
    WeightType type = output.get(0).type();
    try (StepMemory memory = new StepMemory(context);
        DeviceBuffer x = filled(memory, 2L * batch * D);
        DeviceBuffer attended = filled(memory, 2L * batch * D);
        DeviceBuffer queries = filled(memory, 2L * batch * D);
        DeviceBuffer hidden = filled(memory, 4L * batch * D);
        DeviceBuffer sums = filled(memory, 4L * DOWN_SPLITS * batch * D);
        DeviceBuffer wide = filled(memory, 4L * batch * queryKeyValue.get(0).rows());
        DeviceBuffer weight = filled(context, 4L * D);
        DeviceBuffer rotation = filled(context, 4L * POSITIONS * HEAD_SIZE / 2);
        DeviceBuffer state = context.allocate("state", StepState.BYTES);
        KeyValuePages pages =
            KeyValuePages.allocate(
                context, new KeyValuePages.Shape(1, KV_HEADS, HEAD_SIZE, batch, batch, POSITIONS));
        DecodeProducts products = new DecodeProducts(context, queryKeyValue.get(0).rows(), batch)) {
      memory.keep(stream);
      fill(state, pages, batch);
      var heads =
          new DecodeProducts.Heads(
              HEADS, KV_HEADS, HEAD_SIZE, rotation, rotation, pages.table(), pages.shape().maxPages(),
              pages.keys(0), pages.values(0), queries);
      Norm norm = new Norm(weight, D, 1e-5f);
      int splits = products.projectSplits(output.get(0), batch);
      Work qkv =
          layer -> products.queryKeyValue(stream, queryKeyValue.get(layer), x, batch, state, heads);
      Work project = layer -> products.projectSplit(stream, output.get(layer), attended, batch, sums);
      Work normOfOutput =
          layer ->
              elementwise.residualNorm(
                  stream, hidden, new Partials(sums, splits, (long) batch * D), norm, x, batch);
      Work normOfDown =
          layer ->
              elementwise.residualNorm(
                  stream, hidden, new Partials(sums, DOWN_SPLITS, (long) batch * D), norm, x, batch);
      double row = type.bytes(D);
      double qkvBytes = row * queryKeyValue.get(0).rows();
      print(type, batch, "query-key-value", qkvBytes, qkv, rival(queryKeyValue, x, wide, batch));
      print(type, batch, "output", row * D, project, rival(output, x, wide, batch));
      print(type, batch, "norm of the output's sums", 0, normOfOutput, Double.NaN);
      print(type, batch, "norm of the feed-forward's sums", 0, normOfDown, Double.NaN);
      print(
          type,
          batch,
          "all four",
          row * D + qkvBytes,
          layer -> {
            qkv.layer(layer);
            project.layer(layer);
            normOfOutput.layer(layer);
            normOfDown.layer(layer);
          },
          Double.NaN);
    }
  }

  /** cuBLAS' microseconds for such products. */
  private double rival(List<DeviceMatrix> matrices, DeviceBuffer x, DeviceBuffer y, int batch) {
    DeviceMatrix first = matrices.get(0);
    return cublas.isEmpty() || first.type() != WeightType.F16
        ? Double.NaN
        : micros(
            layer ->
                cublas.get().multiplyTransposed(
                    x, matrices.get(layer).elements(), y, false, batch, first.rows(), D, 0));
  }

  private double micros(Work work) {
    Runnable layers =
        () -> {
          for (int layer = 0; layer < LAYERS; layer++) {
            work.layer(layer);
          }
        };
    layers.run();
    stream.synchronize();
    try (CudaGraph graph = stream.capture("parts of " + LAYERS + " layers", layers)) {
      return DeviceRates.medianMicros(context, stream, REPLAYS, () -> graph.launch(stream)) / LAYERS;
    }
  }

  private void print(
      WeightType type, int batch, String what, double bytes, Work work, double rival) {
    double micros = micros(work);
    System.out.printf(
        Locale.ROOT,
        "{\"part\": \"parts\", \"weights\": \"%s\", \"kernels\": \"%s\", \"batch_size\": %d, \"micros\":"
            + " %.1f, \"micros_of_bytes\": %.1f, \"cublas_micros\": %s}%n",
        type.name().toLowerCase(Locale.ROOT), what, batch, micros, bytes / bytesPerMicro,
        Double.isNaN(rival) ? "null" : String.format(Locale.ROOT, "%.1f", rival));
  }

  private void fill(DeviceBuffer state, KeyValuePages pages, int batch) {
    try (PinnedBuffer pinned = context.allocatePinned(StepState.BYTES)) {
      StepState host = new StepState(pinned);
      host.clear();
      for (int b = 0; b < batch; b++) {
        host.set(b, 0, 0, POSITIONS / 2, b, 0, 1);
        pages.reserve(b, POSITIONS);
      }
      host.begin();
      pages.flush(stream);
      stream.upload(state, 0, pinned, 0, StepState.BYTES);
      stream.synchronize();
    }
  }

  private DeviceBuffer filled(DeviceMemory memory, long bytes) {
    DeviceBuffer buffer = memory.allocate("a benchmark's data", bytes);
    random.fill(buffer);
    return buffer;
  }
}
