package io.rollcall.kernels.cuda;

import io.rollcall.kernels.Activation;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.DecodeFeedForward.Call;
import io.rollcall.kernels.cuda.DecodeFeedForward.Layer;
import io.rollcall.kernels.cuda.DecodeFeedForward.Rule;
import io.rollcall.kernels.cuda.DecodeFeedForward.Scores;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * Microseconds of one feed-forward step, d 4096 and f 14336, against the time that its bytes take at
 * the copy rate of the same run and against cuBLAS' three dense products. Random weights, several sets
 * of them in turn so that L2 holds none; a CUDA graph of eight steps, replayed; medians. Thresholds
 * are set from the scores themselves, so that the union has the density that a line names.
 *
 * <p>Prints a JSON line a point. {@code bin/gpu-check --only feed-forward} runs it; arguments:
 * {@code [weights=f16,int8,int4] [batches=1,2,4,…] [densities=0.1,…] [methods=…] [d=4096] [f=14336]}.
 * Methods: dense, cats, m-countdown, d-countdown (a folded int4 predictor of rank 640) and
 * d-countdown-linear (a linear f16 one of the same rank).
 */
public final class FeedForwardBenchmark {
  private static final int SETS = 4;
  private static final int STEPS = 8;
  private static final int RANK = 640;
  private static final int REPLAYS = 30;
  private static final String LINEAR = "d-countdown-linear";

  private final int d;
  private final int f;
  private final CudaContext context = CudaContext.open(CudaDevice.all().get(0));
  private final CudaStream stream = context.newStream();
  private final Optional<Cublas> cublas = Cublas.open(context, stream);
  private final double bytesPerMicro;
  private final RandomWeights random;

  private FeedForwardBenchmark(int d, int f) {
    this.d = d;
    this.f = f;
    bytesPerMicro = DeviceRates.copyBytesPerMicro(context, stream);
    random = new RandomWeights(context, stream);
  }

  public static void main(String[] arguments) {
    var options = new BenchmarkArguments(arguments);
    var benchmark = new FeedForwardBenchmark(options.number("d", 4096), options.number("f", 14336));
    System.out.printf(
        Locale.ROOT,
        "{\"part\": \"device\", \"device\": \"%s\", \"copy_terabytes_per_s\": %.3f, \"cublas\": \"%s\"}%n",
        benchmark.context.device().name(), benchmark.bytesPerMicro / 1e6,
        benchmark.cublas.map(Cublas::version).orElse("none"));
    for (String weights : options.list("weights", "f16,int8,int4")) {
      benchmark.run(
          WeightType.valueOf(weights.toUpperCase(Locale.ROOT)),
          options.list("methods", "dense,m-countdown,d-countdown,d-countdown-linear"),
          options.list("batches", "1,2,4,8,16,32,64").stream().map(Integer::valueOf).toList(),
          options.list("densities", "0.1,0.3,0.5,0.7,1.0").stream().map(Double::valueOf).toList());
    }
  }

  private void run(WeightType type, List<String> methods, List<Integer> batches, List<Double> densities) {
    Layer[] linear = new Layer[SETS];
    Layer[] folded = new Layer[SETS];
    for (int set = 0; set < SETS; set++) {
      linear[set] =
          new Layer(
              random.matrix(type, 2 * f, d), random.matrix(type, f, d), null,
              random.matrix(WeightType.F16, RANK, d), random.matrix(WeightType.F16, f, RANK));
      folded[set] =
          new Layer(
              linear[set].gateUp(), linear[set].down(), null,
              random.matrix(WeightType.INT4, RANK, d), random.matrix(WeightType.INT4, 2 * f, RANK));
    }
    for (int batch : batches) {
      double rival = type == WeightType.F16 ? cublasMicros(linear, batch) : Double.NaN;
      try (DecodeProducts products = new DecodeProducts(context, 2 * f, batch);
          StepMemory memory = new StepMemory(context);
          DecodeFeedForward feedForward =
              new DecodeFeedForward(memory, products, d, f, Activation.SILU, batch);
          DeviceBuffer x = memory.allocate("x", 2L * batch * d);
          DeviceBuffer y = memory.allocate("y", 4L * feedForward.splits(batch) * batch * d);
          CudaStream stream = context.newStream()) {
        memory.keep(stream);
        for (String method : methods) {
          Layer[] layers = method.equals(LINEAR) ? linear : folded;
          for (double density : method.equals("dense") ? List.of(1.0) : densities) {
            double micros = micros(stream, feedForward, x, y, layers, method, batch, density);
            double bytes = bytes(type, method, density);
            double floor = bytes / bytesPerMicro;
            System.out.printf(
                Locale.ROOT,
                "{\"part\": \"feed-forward\", \"weights\": \"%s\", \"method\": \"%s\", \"batch_size\": %d,"
                    + " \"union_density\": %.1f, \"micros\": %.1f, \"bytes\": %.0f, \"micros_of_bytes\":"
                    + " %.1f, \"ratio\": %.3f, \"cublas_micros\": %s, \"to_cublas\": %s}%n",
                type.name().toLowerCase(Locale.ROOT), method, batch, density, micros, bytes, floor,
                micros / floor, number(rival), number(micros / rival));
          }
        }
      }
    }
    for (int set = 0; set < SETS; set++) {
      linear[set].gateUp().free();
      linear[set].down().free();
      for (Layer layer : List.of(linear[set], folded[set])) {
        layer.predictorA().free();
        layer.predictorB().free();
      }
    }
  }

  private static String number(double value) {
    return Double.isNaN(value) ? "null" : String.format(Locale.ROOT, "%.3f", value);
  }

  /** Feed-forward bytes by the method's formula. */
  private double bytes(WeightType type, String method, double density) {
    double row = type.bytes(d);
    long rows = Math.round(density * f);
    return switch (method) {
      case "dense" -> 3 * row * f;
      case "cats", "m-countdown" -> row * (f + 2.0 * rows);
      case LINEAR -> 2.0 * RANK * (d + f) + 3 * row * rows;
      case "d-countdown" -> RANK * WeightType.INT4.bytes(d) + 2.0 * f * WeightType.INT4.bytes(RANK) + 3 * row * rows;
      default -> throw new IllegalArgumentException(method);
    };
  }

  private static Scores scores(String method) {
    return switch (method) {
      case "dense" -> Scores.NONE;
      case "cats" -> Scores.GATE;
      case "m-countdown" -> Scores.UP;
      case "d-countdown", LINEAR -> Scores.PREDICTOR;
      default -> throw new IllegalArgumentException(method);
    };
  }

  private double micros(
      CudaStream stream, DecodeFeedForward feedForward, DeviceBuffer x, DeviceBuffer y, Layer[] layers,
      String method, int batch, double density) {
    random.fill(x);
    long recordBytes = 4L * SETS * StepState.RECORD_STRIDE;
    DeviceBuffer bothRecords = context.allocate("records", 2 * recordBytes);
    stream.zero(bothRecords, 0, bothRecords.bytes());
    DeviceBuffer records = bothRecords.slice(recordBytes, recordBytes);
    DeviceBuffer thresholds = context.allocate("thresholds", 4L * 7 * SETS);
    DeviceBuffer denseFrom = random.upload(7, 4, buffer -> buffer.putInt(f + 1));
    DeviceBuffer state = context.allocate("state", StepState.BYTES);
    this.stream.synchronize();
    try (PinnedBuffer pinned = context.allocatePinned(StepState.BYTES)) {
      StepState host = new StepState(pinned);
      host.clear();
      for (int b = 0; b < batch; b++) {
        host.set(b, 0, 0, 0, b, 0, 1);
      }
      host.begin();
      stream.upload(state, 0, pinned, 0, StepState.BYTES);
      stream.synchronize();
    }
    Rule rule =
        method.equals("dense") ? Rule.dense() : new Rule(scores(method), false, f, thresholds, denseFrom);
    Call[] calls = new Call[SETS];
    for (int set = 0; set < SETS; set++) {
      calls[set] = new Call(layers[set], set, SETS, rule, x, batch, state, records, y);
    }
    if (!method.equals("dense")) {
      float[] table = new float[7 * SETS];
      for (int set = 0; set < SETS; set++) {
        feedForward.score(stream, calls[set]);
        float threshold = quantile(stream, feedForward.scores(), batch, scores(method) == Scores.PREDICTOR, 1 - density);
        for (int bucket = 0; bucket < 7; bucket++) {
          table[bucket * SETS + set] = threshold;
        }
      }
      ByteBuffer bytes = ByteBuffer.allocateDirect(4 * table.length).order(ByteOrder.LITTLE_ENDIAN);
      bytes.asFloatBuffer().put(table);
      stream.upload(thresholds, 0, bytes);
      stream.synchronize();
    }
    double micros;
    try (CudaGraph graph =
        stream.capture(
            "feed-forward steps",
            () -> {
              for (int step = 0; step < STEPS; step++) {
                feedForward.step(stream, calls[step % SETS]);
              }
            })) {
      micros = DeviceRates.medianMicros(context, stream, REPLAYS, () -> graph.launch(stream)) / STEPS;
    }
    for (DeviceBuffer buffer : List.of(bothRecords, thresholds, denseFrom, state)) {
      buffer.close();
    }
    return micros;
  }

  /** Of each row's largest score (magnitude) over the batch. */
  private float quantile(CudaStream stream, DeviceBuffer scores, int batch, boolean signed, double sparsity) {
    if (sparsity <= 0) {
      return -1e30f;
    }
    int tile = DecodeFeedForward.tile(batch);
    float[] largest = new float[f];
    try (PinnedBuffer host = context.allocatePinned(4L * f * tile)) {
      stream.download(host, 0, scores, 0, 4L * f * tile);
      stream.synchronize();
      for (int row = 0; row < f; row++) {
        float most = Float.NEGATIVE_INFINITY;
        for (int b = 0; b < batch; b++) {
          float score = host.bytes().getFloat(4 * (row * tile + b));
          most = Math.max(most, signed ? score : Math.abs(score));
        }
        largest[row] = most;
      }
    }
    Arrays.sort(largest);
    int at = (int) Math.round(sparsity * f);
    return (largest[at - 1] + largest[at]) / 2;
  }

  private double cublasMicros(Layer[] layers, int batch) {
    if (cublas.isEmpty()) {
      return Double.NaN;
    }
    Cublas gemm = cublas.get();
    try (DeviceBuffer x = context.allocate("x", 2L * batch * d);
        DeviceBuffer s = context.allocate("s", 4L * batch * f);
        DeviceBuffer y = context.allocate("y", 4L * batch * d)) {
      random.fill(x);
      random.fill(s);
      Runnable steps =
          () -> {
            for (int step = 0; step < STEPS; step++) {
              Layer layer = layers[step % SETS];
              gemm.multiplyTransposed(x, layer.gateUp().elements(), s, false, batch, 2 * f, d, 0);
              gemm.multiply(s, layer.down().elements(), y, false, batch, d, f, 0);
            }
          };
      steps.run();
      stream.synchronize();
      try (CudaGraph graph = stream.capture("cuBLAS steps", steps)) {
        return DeviceRates.medianMicros(context, stream, REPLAYS, () -> graph.launch(stream)) / STEPS;
      }
    }
  }
}
