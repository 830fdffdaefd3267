package io.rollcall.kernels.cuda;

import java.util.List;

/**
 * Grouped-query attention on the device: rotary embedding with the write into {@link KeyValuePages},
 * decode steps and prefill. Query head h reads key/value head h / (heads / kvHeads); scores are scaled
 * by 1/sqrt(headSize). Everything is enqueued on the stream given and returns at once.
 *
 * <p>qkv rows hold the queries of all heads, then the keys, then the values of the key/value heads:
 * [(heads + 2 kvHeads) x headSize], f32 or f16. q and out are f16 [rows x heads x headSize].
 */
public final class Attention {
  private static final int THREADS = 128;
  private static final int ROPE_THREADS = 256;
  private static final int ROPE_ELEMENTS = 16;
  private static final int MAX_GROUP = 8;
  // More blocks a multiprocessor would only mean more partial results.
  private static final int MAX_DECODE_BLOCKS = 3;
  private static final int DECODE_WARPS = 4;
  private static final int DECODE_POSITIONS = 16; // of a page, for one warp

  /**
   * Tables of the rotary embedding on the device.
   *
   * @param cosines f32 [context x headSize/2]
   * @param sines likewise
   */
  public record Rotation(DeviceBuffer cosines, DeviceBuffer sines) {}

  private final CudaContext context;
  private final int heads;
  private final int kvHeads;
  private final int headSize;
  private final float scale;
  private final CudaKernel decode;
  private final Launch decodeLaunch;

  /**
   * @param headSize 64 or 128
   * @throws IllegalArgumentException for a shape that the kernels do not cover
   */
  public Attention(CudaContext context, int heads, int kvHeads, int headSize) {
    if (kvHeads < 1 || heads % kvHeads != 0 || heads / kvHeads > MAX_GROUP) {
      throw new IllegalArgumentException(
          "%d query heads for %d key/value heads; 1 to %d times as many can be computed on the device"
              .formatted(heads, kvHeads, MAX_GROUP));
    }
    if (headSize != 64 && headSize != 128) {
      throw new IllegalArgumentException(
          "heads of " + headSize + " elements; 64 and 128 can be computed on the device");
    }
    this.context = context;
    this.heads = heads;
    this.kvHeads = kvHeads;
    this.headSize = headSize;
    scale = (float) (1 / (Math.log(2) * Math.sqrt(headSize)));
    decode = context.kernel("attention_decode_" + headSize);
    int stages = headSize == 64 ? 4 : 3;
    int shared = DECODE_WARPS * stages * 2 * DECODE_POSITIONS * headSize * Short.BYTES;
    int blocks =
        Math.max(1, Math.min(MAX_DECODE_BLOCKS, decode.blocksPerMultiprocessor(THREADS, shared)))
            * context.device().multiprocessors();
    decodeLaunch = Launch.of(blocks, THREADS).withShared(shared).withOverlap();
  }

  /**
   * Bytes of scratch that decode steps of up to {@link StepState#MAX_BATCH} sequences need, one for
   * all layers and all batch sizes of a stream. Must be zeroed once before the first.
   */
  public static long decodeScratchBytes(CudaDevice device, int heads, int kvHeads, int headSize) {
    long records = (long) MAX_DECODE_BLOCKS * device.multiprocessors()
        + (long) StepState.MAX_BATCH * kvHeads;
    long record = (long) (heads / kvHeads) * (headSize + 4) * Float.BYTES;
    return counterBytes(kvHeads) + records * record;
  }

  private static long counterBytes(int kvHeads) {
    return (long) StepState.MAX_BATCH * kvHeads * Integer.BYTES;
  }

  /**
   * Rotates and stores the rows of a prefill pass: queries to q, keys and values to their pages.
   *
   * @param qkv f16 [rows x (heads + 2 kvHeads) * headSize]
   * @param rows below 2^31 / (heads x headSize)
   * @param positions int32 [rows]
   * @param slots int32 [rows]; a row with a negative slot writes nothing
   */
  public void ropeWrite(
      CudaStream stream, Rotation rotation, KeyValuePages pages, int layer, DeviceBuffer qkv,
      DeviceBuffer positions, DeviceBuffer slots, int rows, DeviceBuffer q) {
    stream.launch(
        context.kernel("rope_write"),
        ropeLaunch(rows),
        qkv, positions, slots, rotation.cosines(), rotation.sines(), pages.table(), q,
        pages.keys(layer), pages.values(layer), rows, heads, kvHeads, headSize,
        pages.shape().maxPages());
  }

  private Launch ropeLaunch(int rows) {
    long threads = (long) rows * (heads + 2 * kvHeads) * (headSize / ROPE_ELEMENTS);
    int blocks = Math.toIntExact((threads + ROPE_THREADS - 1) / ROPE_THREADS);
    return Launch.of(blocks, ROPE_THREADS).withOverlap();
  }

  /**
   * One decode step's attention over the pages: sequence b attends to positions 0 to its own, whose
   * key and value are in the page already. Lengths are read on the device, so a captured launch serves
   * any. Rows of inactive sequences become zeros.
   *
   * <p>The state, the page table and all earlier positions are read while the kernels in front still run.
   * These must be of the same step: what they overlap with, back to the first that does, writes only q and
   * the sequences' own positions.
   *
   * @param state {@link StepState}
   * @param sequences rows of the step, padding included, at most {@link StepState#MAX_BATCH}
   * @param scratch {@link #decodeScratchBytes}, not used by another stream at the time
   */
  public void decode(
      CudaStream stream, KeyValuePages pages, int layer, DeviceBuffer state, int sequences,
      DeviceBuffer q, DeviceBuffer out, DeviceBuffer scratch) {
    long counters = counterBytes(kvHeads);
    stream.launch(
        decode,
        decodeLaunch,
        q, pages.keys(layer), pages.values(layer), pages.table(), state, out,
        scratch, scratch.address() + counters, sequences, heads, kvHeads,
        pages.shape().maxPages(), scale);
  }

  /**
   * The same from queries, keys and values as their projection made them: they are rotated here, and the
   * sequences' own keys and values written to their pages.
   *
   * @param qkv f32 [sequences x (heads + 2 kvHeads) * headSize]
   */
  public void decodeRotating(
      CudaStream stream, Rotation rotation, KeyValuePages pages, int layer, DeviceBuffer state,
      int sequences, DeviceBuffer qkv, DeviceBuffer out, DeviceBuffer scratch) {
    stream.launch(
        context.kernel("attention_decode_rotating_" + headSize),
        decodeLaunch,
        qkv, rotation.cosines(), rotation.sines(), pages.keys(layer), pages.values(layer),
        pages.table(), state, out, scratch, scratch.address() + counterBytes(kvHeads), sequences,
        heads, kvHeads, pages.shape().maxPages(), scale);
  }

  /** The work list of a prefill pass over these packed prompts; the same for every layer. */
  public PrefillTiles tiles(List<PrefillTiles.Span> spans) {
    return PrefillTiles.of(spans, heads / kvHeads, kvHeads, context.device().multiprocessors());
  }

  /**
   * Causal attention of packed prompts over the pages, where their keys and values are already. Rows
   * that no tile names are left as they are.
   *
   * @param list the tiles as {@link PrefillTiles#write} put them, on the device
   */
  public void prefill(
      CudaStream stream, KeyValuePages pages, int layer, PrefillTiles tiles, DeviceBuffer list,
      DeviceBuffer q, DeviceBuffer out) {
    int shared = (tiles.rows() + 2 * PageTable.POSITIONS) * headSize * Short.BYTES;
    stream.launch(
        context.kernel("attention_prefill_" + headSize + "_" + tiles.rows()),
        Launch.of(kvHeads, tiles.count(), THREADS).withShared(shared).withOverlap(),
        q, pages.keys(layer), pages.values(layer), pages.table(), list, out, heads, kvHeads,
        pages.shape().maxPages(), scale);
  }
}
