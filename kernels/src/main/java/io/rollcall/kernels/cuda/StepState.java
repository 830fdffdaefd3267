package io.rollcall.kernels.cuda;

import java.nio.ByteBuffer;

/**
 * What a decode step knows about its sequences, as {@code step_state.cuh} lays it out in device
 * memory: written here before a batch of steps, advanced by the device after each. Offsets and sizes
 * are in bytes.
 *
 * <p>An instance is a view of a little-endian buffer of {@link #BYTES} bytes, usually pinned; it is
 * uploaded whole. Sequence b of a step is row b of every activation.
 */
public final class StepState {
  /** Sequences in a decode step, at most. */
  public static final int MAX_BATCH = 64;
  /** Ints of one layer's record of a step: union rows, ran dense, rows called by each sequence. */
  public static final int RECORD_STRIDE = 2 + MAX_BATCH;

  public static final int STEP = 0;
  public static final int BATCH = 4;
  public static final int BUCKET = 8;
  public static final int RANDOM_KEY = 16;
  public static final int ACTIVE = RANDOM_KEY + 8 * MAX_BATCH;
  public static final int TOKEN = ACTIVE + 4 * MAX_BATCH;
  public static final int POSITION = TOKEN + 4 * MAX_BATCH;
  public static final int SLOT = POSITION + 4 * MAX_BATCH;
  public static final int OUTPUT_INDEX = SLOT + 4 * MAX_BATCH;
  public static final int REMAINING = OUTPUT_INDEX + 4 * MAX_BATCH;
  public static final int BYTES = REMAINING + 4 * MAX_BATCH;

  private final ByteBuffer bytes;
  private final int offset;

  /** @param bytes little-endian, with the state at {@code offset} */
  public StepState(ByteBuffer bytes, int offset) {
    if (bytes.capacity() - offset < BYTES) {
      throw new IllegalArgumentException(
          "a step's state takes " + BYTES + " bytes, but the buffer has " + (bytes.capacity() - offset)
              + " from " + offset);
    }
    this.bytes = bytes;
    this.offset = offset;
  }

  public StepState(PinnedBuffer pinned) {
    this(pinned.bytes(), 0);
  }

  /** No sequences; every row inactive, at position 0 with token 0. */
  public void clear() {
    for (int i = 0; i < BYTES; i += 4) {
      bytes.putInt(offset + i, 0);
    }
  }

  /**
   * Fills row b with an active sequence.
   *
   * @param randomKey of the sequence's random stream
   * @param token that the next step is given
   * @param position of that token
   * @param slot row of the page table
   * @param outputIndex index in the output of the token that the next step samples
   * @param remaining tokens the sequence may still be given
   */
  public void set(
      int b, long randomKey, int token, int position, int slot, int outputIndex, int remaining) {
    bytes.putLong(offset + RANDOM_KEY + 8 * checked(b), randomKey);
    put(ACTIVE, b, 1);
    put(TOKEN, b, token);
    put(POSITION, b, position);
    put(SLOT, b, slot);
    put(OUTPUT_INDEX, b, outputIndex);
    put(REMAINING, b, remaining);
  }

  /** Marks row b as ended: it computes on, but counts and writes nothing. */
  public void deactivate(int b) {
    put(ACTIVE, checked(b), 0);
  }

  /** Step 0 of a batch of steps, with batch and bucket counted from the active rows. */
  public void begin() {
    int active = 0;
    for (int b = 0; b < MAX_BATCH; b++) {
      active += active(b) ? 1 : 0;
    }
    bytes.putInt(offset + STEP, 0);
    bytes.putInt(offset + BATCH, active);
    bytes.putInt(offset + BUCKET, bucket(active));
  }

  /** The batch bucket of so many sequences: k for up to 2^k. */
  public static int bucket(int sequences) {
    return sequences <= 1 ? 0 : Integer.SIZE - Integer.numberOfLeadingZeros(sequences - 1);
  }

  public int step() {
    return bytes.getInt(offset + STEP);
  }

  public int batch() {
    return bytes.getInt(offset + BATCH);
  }

  public int bucket() {
    return bytes.getInt(offset + BUCKET);
  }

  public boolean active(int b) {
    return get(ACTIVE, b) != 0;
  }

  public int token(int b) {
    return get(TOKEN, b);
  }

  public int position(int b) {
    return get(POSITION, b);
  }

  public int slot(int b) {
    return get(SLOT, b);
  }

  public int outputIndex(int b) {
    return get(OUTPUT_INDEX, b);
  }

  public int remaining(int b) {
    return get(REMAINING, b);
  }

  private int get(int field, int b) {
    return bytes.getInt(offset + field + 4 * checked(b));
  }

  private void put(int field, int b, int value) {
    bytes.putInt(offset + field + 4 * b, value);
  }

  private static int checked(int b) {
    if (b < 0 || b >= MAX_BATCH) {
      throw new IndexOutOfBoundsException("sequence " + b + " of at most " + MAX_BATCH);
    }
    return b;
  }
}
