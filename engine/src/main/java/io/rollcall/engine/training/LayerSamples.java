package io.rollcall.engine.training;

import java.util.List;

/**
 * Decode positions as one layer met them: its input x in bf16 and, for each neuron, how its score
 * stands to the oracle's threshold ({@link ScoreRatio}). A position is a record of 2d + f bytes.
 */
public final class LayerSamples {
  private final int hidden;
  private final int intermediate;
  private final List<byte[]> chunks;
  /** Positions before each chunk, and in all. */
  private final int[] starts;

  /**
   * @param hidden d
   * @param intermediate f
   * @param chunks whole records
   */
  public LayerSamples(int hidden, int intermediate, List<byte[]> chunks) {
    this.hidden = hidden;
    this.intermediate = intermediate;
    this.chunks = List.copyOf(chunks);
    starts = new int[chunks.size() + 1];
    for (int i = 0; i < chunks.size(); i++) {
      starts[i + 1] = starts[i] + chunks.get(i).length / bytes(hidden, intermediate);
    }
  }

  /** Bytes of one position. */
  public static int bytes(int hidden, int intermediate) {
    return 2 * hidden + intermediate;
  }

  /** Positions. */
  public int count() {
    return starts[chunks.size()];
  }

  /** d. */
  public int hidden() {
    return hidden;
  }

  /** f. */
  public int intermediate() {
    return intermediate;
  }

  /** A position's place: {@code chunk} holds its record from {@code at} on. */
  private int chunk(int position) {
    int low = 0;
    int high = chunks.size() - 1;
    while (low < high) {
      int middle = (low + high + 1) >>> 1;
      if (starts[middle] <= position) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  /**
   * Decodes one position.
   *
   * @param x receives [d] from {@code xAt} on
   * @param ratios receives [f] from {@code ratiosAt} on
   */
  void read(int position, float[] x, int xAt, byte[] ratios, int ratiosAt) {
    int chunk = chunk(position);
    byte[] bytes = chunks.get(chunk);
    int at = (position - starts[chunk]) * bytes(hidden, intermediate);
    for (int i = 0; i < hidden; i++, at += 2) {
      x[xAt + i] = Float.intBitsToFloat((bytes[at] & 0xff) << 16 | bytes[at + 1] << 24);
    }
    System.arraycopy(bytes, at, ratios, ratiosAt, intermediate);
  }
}
