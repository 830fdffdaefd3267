package io.rollcall.kernels.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Speed of attention on a GPU host at 32 query heads, 8 key/value heads of 128: one JSON line a
 * configuration. Decode: microseconds of a layer, the bytes it must move, their time at the rate of a
 * large copy on the device (bytes read plus written), and the ratio. Prefill: TFLOP/s, counting only
 * what the causal mask lets through. Medians of graph replays over several layers, whose pools
 * together outgrow the L2 cache.
 *
 * <pre>
 * mvn -q -B -pl kernels test-compile dependency:build-classpath -Dmdep.outputFile=/tmp/classpath
 * java --add-modules jdk.incubator.vector \
 *   -cp kernels/target/classes:kernels/target/test-classes:$(cat /tmp/classpath) \
 *   io.rollcall.kernels.cuda.AttentionBenchmark
 * </pre>
 */
public final class AttentionBenchmark {
  private static final int HEADS = 32;
  private static final int KV_HEADS = 8;
  private static final int HEAD_SIZE = 128;
  private static final int[][] DECODE = {{1, 1024}, {8, 1024}, {32, 1024}, {64, 1024}, {1, 8192}};
  private static final int[][] PREFILL = {{1, 512}, {1, 2048}, {4, 512}, {32, 64}};
  private static final long WORKING_SET = 768L << 20;
  private static final int PREFILL_LAYERS = 8;
  private static final int WARM_UP = 5;
  private static final int REPLAYS = 40;

  private final CudaContext context;
  private final CudaStream stream;
  private final Attention attention;
  private final List<AutoCloseable> open = new ArrayList<>();

  private AttentionBenchmark(CudaContext context, CudaStream stream) {
    this.context = context;
    this.stream = stream;
    attention = new Attention(context, HEADS, KV_HEADS, HEAD_SIZE);
  }

  public static void main(String[] arguments) throws Exception {
    if (CudaDevice.all().isEmpty()) {
      System.err.println(CudaDevice.whyNone().orElse("no device"));
      System.exit(1);
    }
    try (CudaContext context = CudaContext.open(CudaDevice.all().get(0));
        CudaStream stream = context.newStream()) {
      AttentionBenchmark benchmark = new AttentionBenchmark(context, stream);
      double copyRate = benchmark.copyRate();
      print(
          "{\"device\": \"%s\", \"copy_gb_per_s\": %.0f}", context.device().name(), copyRate / 1e9);
      for (int[] shape : DECODE) {
        benchmark.decode(shape[0], shape[1], copyRate);
      }
      for (int[] shape : PREFILL) {
        benchmark.prefill(shape[0], shape[1]);
      }
    }
  }

  /** Bytes read and written a second by a copy far larger than the L2 cache. */
  private double copyRate() throws Exception {
    long bytes = Math.min(1L << 30, context.freeBytes() / 4);
    DeviceBuffer from = allocate(bytes);
    DeviceBuffer to = allocate(bytes);
    double seconds = median(() -> stream.copy(to, 0, from, 0, bytes));
    closeAll();
    return 2 * bytes / seconds;
  }

  private void decode(int sequences, int length, double copyRate) throws Exception {
    long layerBytes = 2L * sequences * length * KV_HEADS * HEAD_SIZE * Short.BYTES;
    int layers = (int) Math.max(2, Math.min(256, WORKING_SET / layerBytes + 1));
    KeyValuePages pages = pages(layers, sequences, length);
    DeviceBuffer q = random((long) sequences * HEADS * HEAD_SIZE * Short.BYTES);
    DeviceBuffer out = allocate((long) sequences * HEADS * HEAD_SIZE * Short.BYTES);
    long scratchBytes =
        Attention.decodeScratchBytes(context.device(), HEADS, KV_HEADS, HEAD_SIZE);
    DeviceBuffer scratch = allocate(scratchBytes);
    stream.zero(scratch, 0, scratchBytes);
    DeviceBuffer state = state(sequences, length);
    CudaGraph graph =
        stream.capture(
            "decode attention",
            () -> {
              for (int layer = 0; layer < layers; layer++) {
                attention.decode(stream, pages, layer, state, sequences, q, out, scratch);
              }
            });
    open.add(graph);
    double seconds = median(() -> graph.launch(stream)) / layers;
    long bytes = layerBytes + 2L * sequences * HEADS * HEAD_SIZE * Short.BYTES;
    double floor = bytes / copyRate;
    print(
        "{\"operation\": \"decode_attention\", \"batch_size\": %d, \"context\": %d, \"layers\": %d,"
            + " \"us\": %.2f, \"bytes\": %d, \"bytes_us\": %.2f, \"ratio\": %.3f}",
        sequences, length, layers, seconds * 1e6, bytes, floor * 1e6, seconds / floor);
    closeAll();
  }

  private void prefill(int prompts, int length) throws Exception {
    KeyValuePages pages = pages(PREFILL_LAYERS, prompts, length);
    long bytes = (long) prompts * length * HEADS * HEAD_SIZE * Short.BYTES;
    DeviceBuffer q = random(bytes);
    DeviceBuffer out = allocate(bytes);
    List<PrefillTiles.Span> spans = new ArrayList<>();
    for (int i = 0; i < prompts; i++) {
      spans.add(new PrefillTiles.Span(i, i * length, 0, length));
    }
    PrefillTiles tiles = attention.tiles(spans);
    ByteBuffer list = ByteBuffer.allocateDirect(tiles.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    tiles.write(list);
    list.flip();
    DeviceBuffer deviceList = allocate(tiles.bytes());
    stream.upload(deviceList, 0, list);
    CudaGraph graph =
        stream.capture(
            "prefill attention",
            () -> {
              for (int layer = 0; layer < PREFILL_LAYERS; layer++) {
                attention.prefill(stream, pages, layer, tiles, deviceList, q, out);
              }
            });
    open.add(graph);
    double seconds = median(() -> graph.launch(stream)) / PREFILL_LAYERS;
    double operations = 4.0 * HEAD_SIZE * HEADS * prompts * length * (length + 1.0) / 2;
    print(
        "{\"operation\": \"prefill_attention\", \"prompts\": %d, \"tokens\": %d, \"tile_rows\": %d,"
            + " \"us\": %.2f, \"tflops\": %.1f}",
        prompts, length, tiles.rows(), seconds * 1e6, operations / seconds / 1e12);
    closeAll();
  }

  /** A pool full of random numbers with every slot's pages reserved. */
  private KeyValuePages pages(int layers, int slots, int length) {
    int pagesOfSlot = (length + KeyValuePages.PAGE_POSITIONS - 1) / KeyValuePages.PAGE_POSITIONS;
    KeyValuePages pages =
        KeyValuePages.allocate(
            context,
            new KeyValuePages.Shape(
                layers, KV_HEADS, HEAD_SIZE, slots * pagesOfSlot, slots, length));
    open.add(pages);
    for (int layer = 0; layer < layers; layer++) {
      fill(pages.keys(layer));
      fill(pages.values(layer));
    }
    for (int slot = 0; slot < slots; slot++) {
      pages.reserve(slot, length);
    }
    pages.flush(stream);
    stream.synchronize();
    return pages;
  }

  private DeviceBuffer state(int sequences, int length) {
    PinnedBuffer pinned = context.allocatePinned(StepState.BYTES);
    open.add(pinned);
    StepState state = new StepState(pinned);
    state.clear();
    for (int b = 0; b < sequences; b++) {
      state.set(b, 0, 0, length - 1, b, 0, 1);
    }
    state.begin();
    DeviceBuffer device = allocate(StepState.BYTES);
    stream.upload(device, 0, pinned, 0, StepState.BYTES);
    return device;
  }

  private DeviceBuffer random(long bytes) {
    DeviceBuffer buffer = allocate(bytes);
    fill(buffer);
    return buffer;
  }

  private void fill(DeviceBuffer buffer) {
    int chunk = (int) Math.min(buffer.bytes(), 4 << 20);
    ByteBuffer values = ByteBuffer.allocateDirect(chunk).order(ByteOrder.LITTLE_ENDIAN);
    Random random = new Random(chunk);
    while (values.hasRemaining()) {
      values.putShort((short) (Float.floatToRawIntBits((float) random.nextGaussian()) >>> 16));
    }
    values.flip();
    stream.upload(buffer, 0, values);
    for (long at = chunk; at < buffer.bytes(); at += chunk) {
      stream.copy(buffer, at, buffer, 0, Math.min(chunk, buffer.bytes() - at));
    }
    stream.synchronize();
  }

  private DeviceBuffer allocate(long bytes) {
    DeviceBuffer buffer = context.allocate("the benchmark", bytes);
    open.add(buffer);
    return buffer;
  }

  /** Median seconds of device time. */
  private double median(Runnable work) {
    try (CudaEvent before = context.newEvent();
        CudaEvent after = context.newEvent()) {
      double[] seconds = new double[REPLAYS];
      for (int i = -WARM_UP; i < REPLAYS; i++) {
        before.record(stream);
        work.run();
        after.record(stream);
        after.synchronize();
        if (i >= 0) {
          seconds[i] = CudaEvent.millis(before, after) / 1e3;
        }
      }
      Arrays.sort(seconds);
      return seconds[REPLAYS / 2];
    }
  }

  private void closeAll() throws Exception {
    stream.synchronize();
    for (int i = open.size() - 1; i >= 0; i--) {
      open.get(i).close();
    }
    open.clear();
  }

  private static void print(String format, Object... arguments) {
    System.out.println(String.format(Locale.ROOT, format, arguments));
  }
}
