package io.rollcall.kernels;

/**
 * Grouped-query attention: query head h reads key/value head h / (heads / kvHeads).
 *
 * @param heads query heads
 * @param kvHeads key/value heads, a divisor of heads
 * @param headSize elements of one head
 * @param context positions that one sequence's slot of the cache holds
 */
public record AttentionShape(int heads, int kvHeads, int headSize, int context) {
  public AttentionShape {
    if (kvHeads <= 0 || heads % kvHeads != 0) {
      throw new IllegalArgumentException(
          "heads " + heads + " is not a multiple of key/value heads " + kvHeads);
    }
  }

  /** Query heads that share one key/value head. */
  public int groupSize() {
    return heads / kvHeads;
  }

  /** Floats of one sequence's keys (or values) in one layer: kvHeads x context x headSize. */
  public int slotFloats() {
    return Math.multiplyExact(Math.multiplyExact(kvHeads, context), headSize);
  }

  /** Where head {@code kvHead} at {@code position} begins in a slot. */
  public int offset(int kvHead, int position) {
    return (kvHead * context + position) * headSize;
  }
}
