package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.calibration.ScoreSketches;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.engine.runner.TokenBatch;
import io.rollcall.engine.sampling.RandomStream;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.statistics.LayerStatistics;
import io.rollcall.engine.statistics.SparsityCounters;
import io.rollcall.kernels.Float16;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.CudaContext;
import io.rollcall.kernels.cuda.CudaDevice;
import io.rollcall.kernels.cuda.CudaEvent;
import io.rollcall.kernels.cuda.CudaStream;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.DeviceMatrix;
import io.rollcall.kernels.cuda.Gemm;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A model of the Llama-3.1-8B shape with random weights: decode steps as the engine runs them, host
 * included, against the time that their bytes take at the copy rate of the same run; and prefill
 * against the rate of a large product. Thresholds are calibrated on the device for the wanted sparsity
 * of the union. Medians.
 *
 * <p>Prints a JSON line a point. {@code bin/gpu-check --only decode,prefill} runs it; arguments: {@code
 * part=decode|prefill [weights=bf16,int8,int4] [batches=1,8,32,64] [context=1024] [sparsities=0.7,0.9]
 * [layers=32] [steps=60] [prompts=1x512,4x512,1x2048]}.
 */
public final class DecodeBenchmark {
  private static final String MODEL = "llama-3.1-8b-shape";
  private static final int WARM_UP = 10;
  private static final int PREFILLS = 8;
  private static final RandomStream STREAM = new RandomStream(1, "benchmark");

  private final String[] arguments;
  private final CudaDevice device = CudaDevice.all().get(0);
  private final ModelConfig config;
  private final int context;
  /** Steps of a point, without those that warm up. */
  private final int steps;
  private final Random random = new Random(5);
  private double copyBytesPerMicro;
  private double matrixFlopsPerMicro;

  private DecodeBenchmark(String[] arguments) {
    this.arguments = arguments;
    context = number("context", 1024);
    steps = number("steps", 60);
    ModelConfig whole = RandomDeviceModel.llama8b();
    config =
        new ModelConfig(
            whole.architecture(), number("layers", whole.layers()), whole.hiddenSize(),
            whole.intermediateSize(), whole.heads(), whole.kvHeads(), whole.headSize(),
            whole.vocabulary(), whole.context(), whole.normEpsilon(), whole.rope(),
            whole.activation(), whole.tiedEmbeddings(), whole.bosToken(), whole.endTokens());
  }

  public static void main(String[] arguments) {
    var benchmark = new DecodeBenchmark(arguments);
    benchmark.measureDevice();
    boolean decode = benchmark.text("part", "decode").equals("decode");
    for (String weights : benchmark.list("weights", "bf16,int8,int4")) {
      WeightType type = WeightType.valueOf(weights.toUpperCase(Locale.ROOT));
      try (DeviceModel model =
          RandomDeviceModel.create(MODEL, benchmark.config, type, benchmark.device, 1)) {
        if (decode) {
          benchmark.list("batches", "1,8,32,64").forEach(
              batch -> benchmark.decode(model, Integer.parseInt(batch)));
        } else {
          benchmark.list("prompts", "1x512,4x512,1x2048").forEach(
              prompts -> benchmark.prefill(model, prompts));
        }
      }
    }
  }

  private String text(String name, String otherwise) {
    return Arrays.stream(arguments)
        .filter(argument -> argument.startsWith(name + "="))
        .reduce((first, last) -> last)
        .map(argument -> argument.substring(name.length() + 1))
        .orElse(otherwise);
  }

  private int number(String name, int otherwise) {
    return Integer.parseInt(text(name, Integer.toString(otherwise)));
  }

  private List<String> list(String name, String otherwise) {
    return List.of(text(name, otherwise).split(","));
  }

  private void print(String part, String format, Object... values) {
    System.out.println(
        "{\"part\": \"" + part + "\", \"engine\": \"rollcall\", \"model\": \"" + MODEL + "\", "
            + String.format(Locale.ROOT, format, values) + "}");
  }

  /** What floors are counted in: bytes of a copy, read and written, and operations of a product. */
  private void measureDevice() {
    int n = 8192;
    try (CudaContext cuda = CudaContext.open(device);
        Allocations held = new Allocations(cuda)) {
      CudaStream stream = held.keep(cuda.newStream());
      long bytes = 1L << 31;
      DeviceBuffer from = held.device("a copy's source", bytes);
      DeviceBuffer to = held.device("a copy's target", bytes);
      stream.zero(from, 0, bytes);
      copyBytesPerMicro = 2.0 * bytes / micros(held, stream, () -> stream.copy(to, 0, from, 0, bytes));
      Gemm gemm = held.keep(Gemms.open(cuda, stream));
      long half = bytes / 2;
      DeviceBuffer left = from.slice(0, half);
      DeviceMatrix right = new DeviceMatrix(WeightType.F16, n, n, from.slice(half, half), null);
      fill(held, stream, from);
      double product =
          micros(
              held,
              stream,
              () ->
                  gemm.multiplyTransposed(left, right.elements(), to, false, n, n, n, 0));
      matrixFlopsPerMicro = 2.0 * n * n * n / product;
      System.out.printf(
          Locale.ROOT,
          "{\"part\": \"device\", \"device\": \"%s\", \"copy_terabytes_per_s\": %.3f,"
              + " \"matrix_teraflops\": %.1f, \"gemm\": \"%s\"}%n",
          device.name(), copyBytesPerMicro / 1e6, matrixFlopsPerMicro / 1e6, Gemms.name(gemm));
    }
  }

  /** f16 numbers of a normal distribution: zeros would let the device run faster than data does. */
  private static void fill(Allocations held, CudaStream stream, DeviceBuffer buffer) {
    Random random = new Random(2);
    int elements = 1_000_003;
    var values = Uploads.direct(Short.BYTES * elements);
    for (int i = 0; i < elements; i++) {
      values.putShort(2 * i, (short) Float16.fromFloat((float) random.nextGaussian()));
    }
    DeviceBuffer noise = held.device("noise", values.capacity());
    stream.upload(noise, 0, values);
    for (long at = 0; at < buffer.bytes(); at += noise.bytes()) {
      stream.copy(buffer, at, noise, 0, Math.min(noise.bytes(), buffer.bytes() - at));
    }
    stream.synchronize();
  }

  private static double micros(Allocations held, CudaStream stream, Runnable work) {
    CudaEvent start = held.keep(held.context().newEvent());
    CudaEvent end = held.keep(held.context().newEvent());
    double[] micros = new double[12];
    for (int i = 0; i < micros.length; i++) {
      start.record(stream);
      work.run();
      end.record(stream);
      end.synchronize();
      micros[i] = 1000.0 * CudaEvent.millis(start, end);
    }
    return median(Arrays.copyOfRange(micros, 2, micros.length));
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private void decode(DeviceModel model, int batch) {
    double dense = point(model, batch, SparsityPlan.dense(model.digest()), 0, Double.NaN);
    for (String sparsity : list("sparsities", "0.7,0.9")) {
      double s = Double.parseDouble(sparsity);
      SparsityProfile profile = calibrate(model, batch, s);
      var plan = new SparsityPlan(profile, model.crossover(profile, batch, 1));
      point(model, batch, plan, s, dense);
    }
  }

  /** Positions after the context. */
  private int room() {
    return WARM_UP + steps;
  }

  private RunnerOptions options(int slots) {
    return RunnerOptions.greedy(slots, context + room(), 1);
  }

  private SparsityProfile calibrate(DeviceModel model, int batch, double sparsity) {
    UnionStrategy union = new UnionStrategy.Shared();
    var sketches =
        new ScoreSketches(
            union, batch, config.layers(), config.intermediateSize());
    try (ModelRunner runner = model.observed(Method.M_COUNTDOWN, sketches, options(batch))) {
      fillCache(runner, batch);
      for (int step = 0; step < Math.max(2, 16 / batch); step++) {
        runner.decode(sequences(batch, 1), counters(model, batch));
      }
    }
    return new SparsityProfile(
        model.digest(),
        Method.M_COUNTDOWN,
        union,
        new double[] {sparsity},
        sketches.distributions().thresholds(sparsity),
        null);
  }

  private SparsityCounters counters(DeviceModel model, int batch) {
    return new SparsityCounters(config.layers(), batch, model.cost());
  }

  /** @return microseconds of a step */
  private double point(
      DeviceModel model, int batch, SparsityPlan plan, double sparsity, double denseMicros) {
    double[] micros = new double[steps];
    SparsityCounters counters = counters(model, batch);
    try (ModelRunner runner = model.runner(plan, options(batch))) {
      fillCache(runner, batch);
      List<DecodeSequence> sequences = sequences(batch, room());
      for (int step = -WARM_UP; step < steps; step++) {
        SparsityCounters into = step < 0 ? counters(model, batch) : counters;
        long start = System.nanoTime();
        int[] tokens = runner.decode(sequences, into).get(0).tokens();
        sequences = after(sequences, tokens);
        if (step >= 0) {
          micros[step] = (System.nanoTime() - start) / 1e3;
        }
      }
    }
    List<LayerStatistics> layers = counters.statistics();
    double feedForward =
        layers.stream().mapToDouble(layer -> (double) layer.bytesRead() / layer.steps()).sum();
    double bytes = bytes(model, batch, feedForward);
    double floor = bytes / copyBytesPerMicro;
    double median = median(micros);
    print(
        "decode",
        "\"device\": \"%s\", \"weights\": \"%s\", \"method\": \"%s\", \"sparsity\": %.1f, \"union\":"
            + " \"%s\", \"batch_size\": %d, \"context\": %d, \"union_density\": %.3f,"
            + " \"dense_step_share\": %.3f, \"micros\": %.1f, \"bytes\": %.0f, \"micros_of_bytes\":"
            + " %.1f, \"ratio\": %.3f, \"tokens_per_s\": %.1f, \"to_dense\": %s",
        device.name(),
        model.weightType().name().toLowerCase(Locale.ROOT),
        plan.method(),
        sparsity,
        plan.union(),
        batch,
        context,
        layers.stream().mapToDouble(LayerStatistics::unionDensity).average().orElseThrow(),
        layers.stream().mapToDouble(l -> (double) l.denseSteps() / l.steps()).average().orElseThrow(),
        median,
        bytes,
        floor,
        median / floor,
        1e6 * batch / median,
        Double.isNaN(denseMicros)
            ? "null"
            : String.format(Locale.ROOT, "%.3f", denseMicros / median));
    return median;
  }

  /** Of a step's mean: weights but for the embedding table, of which it reads a row a sequence, and cache. */
  private double bytes(DeviceModel model, int batch, double feedForward) {
    long embedding = WeightType.F16.bytes((long) config.vocabulary() * config.hiddenSize());
    double others =
        model.layout().bytes()
            - (model.layout().ownHead() ? embedding : 0)
            - (double) config.layers() * model.cost().dense();
    double position = 2.0 * config.layers() * config.kvHeads() * config.headSize() * Short.BYTES;
    double positions = context + WARM_UP + 0.5 * (steps + 1);
    return others + feedForward + batch * positions * position;
  }

  private List<DecodeSequence> sequences(int batch, int remaining) {
    return IntStream.range(0, batch)
        .mapToObj(slot -> new DecodeSequence(slot, token(), context, STREAM, 1, remaining))
        .toList();
  }

  private static List<DecodeSequence> after(List<DecodeSequence> sequences, int[] tokens) {
    return IntStream.range(0, tokens.length)
        .mapToObj(
            i -> {
              DecodeSequence s = sequences.get(i);
              return new DecodeSequence(
                  s.slot(), tokens[i], s.position() + 1, STREAM, s.outputIndex() + 1,
                  s.remaining() - 1);
            })
        .toList();
  }

  private int token() {
    return random.nextInt(config.vocabulary());
  }

  private void fillCache(ModelRunner runner, int batch) {
    for (int slot = 0; slot < batch; slot++) {
      if (!runner.reserve(slot, context + room())) {
        throw new IllegalStateException("no room for sequence " + slot + " of " + batch);
      }
    }
    prefill(runner, batch, context);
  }

  private void prefill(ModelRunner runner, int prompts, int length) {
    TokenBatch tokens = new TokenBatch(runner.tokenCapacity());
    for (int slot = 0; slot < prompts; slot++) {
      for (int position = 0; position < length; position++) {
        if (tokens.full()) {
          runner.prefill(tokens);
          tokens.clear();
        }
        if (position == length - 1) {
          tokens.addLast(token(), position, slot, STREAM);
        } else {
          tokens.add(token(), position, slot);
        }
      }
    }
    if (tokens.size() > 0) {
      runner.prefill(tokens);
    }
  }

  /** @param shape as 4x512: prompts and tokens of each */
  private void prefill(DeviceModel model, String shape) {
    int[] numbers = Stream.of(shape.split("x")).mapToInt(Integer::parseInt).toArray();
    int prompts = numbers[0];
    int length = numbers[1];
    double[] millis = new double[PREFILLS];
    String gemm;
    try (ModelRunner runner =
        model.runner(
            SparsityPlan.dense(model.digest()), RunnerOptions.greedy(prompts, length + 1, 1))) {
      gemm = runner.device().replaceFirst(".*prefill by ", "");
      for (int slot = 0; slot < prompts; slot++) {
        runner.reserve(slot, length + 1);
      }
      for (int i = -3; i < PREFILLS; i++) {
        long start = System.nanoTime();
        prefill(runner, prompts, length);
        if (i >= 0) {
          millis[i] = (System.nanoTime() - start) / 1e6;
        }
      }
    }
    double median = median(millis);
    print(
        "prefill",
        "\"device\": \"%s\", \"weights\": \"%s\", \"batch_size\": %d, \"tokens\": %d, \"millis\": %.3f,"
            + " \"tokens_per_s\": %.0f, \"flops\": %.0f, \"share_of_matrix_rate\": %.3f, \"gemm\":"
            + " \"%s\"",
        device.name(),
        model.weightType().name().toLowerCase(Locale.ROOT),
        prompts,
        length,
        median,
        1e3 * prompts * length / median,
        flops(prompts, length),
        flops(prompts, length) / (1e3 * median * matrixFlopsPerMicro),
        gemm);
  }

  /** Products of the layers, the head after each prompt, causal attention. */
  private double flops(int prompts, int length) {
    double d = config.hiddenSize();
    double headWidth = (double) config.heads() * config.headSize();
    double layer =
        d * (config.heads() + 2.0 * config.kvHeads()) * config.headSize()
            + headWidth * d
            + 3.0 * config.intermediateSize() * d;
    double attention = headWidth * length * (length + 1);
    return 2
        * prompts
        * (config.layers() * (layer * length + attention) + d * config.vocabulary());
  }
}
