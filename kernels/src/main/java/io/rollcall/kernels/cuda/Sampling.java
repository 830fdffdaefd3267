package io.rollcall.kernels.cuda;

/**
 * The end of a decode step, or of a prefill with its sequences in a step's state: logits to tokens, and
 * the state moved on. Draws the tokens that the CPU engine's sampler draws, from the same random
 * streams; sums are added in another order and exp may differ in the last bit, so a draw within about
 * 1e-9 of a boundary may differ.
 *
 * <p>An instance owns scratch memory and serves one stream at a time.
 */
public final class Sampling implements AutoCloseable {
  private static final int CHUNK = 4096;
  private static final int CHUNK_THREADS = 256;
  private static final int DRAW_THREADS = 1024;
  private static final int BINS = 2048;
  /** The kernels stage the chunks' sums where a histogram's bins go otherwise. */
  private static final int MAX_VOCABULARY = CHUNK * BINS;

  private final CudaContext context;
  private final int vocabulary;
  private final double temperature;
  private final double topP;
  private final DeviceBuffer scratch;

  /**
   * @param temperature at least 0, which is greedy
   * @param topP in (0, 1]
   * @param stream that clears the scratch memory
   */
  public Sampling(
      CudaContext context, CudaStream stream, int vocabulary, double temperature, double topP) {
    if (vocabulary < 1 || vocabulary > MAX_VOCABULARY) {
      throw new IllegalArgumentException(
          "a vocabulary has 1 to " + MAX_VOCABULARY + " tokens, not " + vocabulary);
    }
    if (!(temperature >= 0) || !(topP > 0 && topP <= 1)) {
      throw new IllegalArgumentException(
          "temperature must be at least 0 and top-p in (0, 1], not " + temperature + " and " + topP);
    }
    this.context = context;
    this.vocabulary = vocabulary;
    this.temperature = temperature;
    this.topP = topP;
    scratch = context.allocate("sampling", scratchBytes(vocabulary));
    stream.zero(scratch, 0, scratch.bytes());
  }

  /** Bytes of scratch memory: the best token, bins' lower bits and counts, chunks' sums of 64 rows. */
  static long scratchBytes(int vocabulary) {
    return StepState.MAX_BATCH * (8L + BINS * (8L + 4L) + 8L * chunks(vocabulary));
  }

  private static int chunks(int vocabulary) {
    return (vocabulary + CHUNK - 1) / CHUNK;
  }

  /**
   * Chooses a token for each active row; {@link #advance} takes them up.
   *
   * @param logits f32 [rows x vocabulary]; overwritten unless greedy
   * @param state a {@link StepState}
   * @param rows at most 64; later rows of the state must be inactive
   */
  public void choose(CudaStream stream, DeviceBuffer logits, DeviceBuffer state, int rows) {
    if (rows < 1 || rows > StepState.MAX_BATCH) {
      throw new IllegalArgumentException("1 to " + StepState.MAX_BATCH + " rows, not " + rows);
    }
    Launch chunked =
        Launch.of(chunks(vocabulary), rows, CHUNK_THREADS).withOverlap();
    int nucleus = temperature > 0 && topP < 1 ? 1 : 0;
    stream.launch(
        context.kernel("sample_largest"), chunked, logits, vocabulary, state, scratch, nucleus);
    if (temperature == 0) {
      return;
    }
    stream.launch(
        context.kernel("sample_weigh"),
        chunked,
        logits, vocabulary, state, scratch, Double.doubleToRawLongBits(temperature), nucleus);
    stream.launch(
        context.kernel("sample_draw"),
        Launch.of(rows, DRAW_THREADS).withOverlap(),
        logits, vocabulary, state, scratch, Double.doubleToRawLongBits(topP));
  }

  /**
   * The last kernel of a step: writes the chosen tokens out and into the state, moves every active
   * sequence on by a position, ends those that got an end token or their last, and counts the step;
   * after as many as outTokens has room for, it counts from 0 again.
   *
   * @param endTokens int32 [ends]; may be null where ends is 0
   * @param outTokens int32 [steps][64]: this step's row gets each row's token, -1 where inactive
   */
  public void advance(
      CudaStream stream, DeviceBuffer state, DeviceBuffer endTokens, int ends,
      DeviceBuffer outTokens) {
    int steps = Math.toIntExact(outTokens.bytes() / (StepState.MAX_BATCH * Integer.BYTES));
    stream.launch(
        context.kernel("sample_advance"),
        Launch.of(1, StepState.MAX_BATCH).withOverlap(),
        state, scratch, endTokens, ends, outTokens, steps);
  }

  @Override
  public void close() {
    scratch.close();
  }
}
