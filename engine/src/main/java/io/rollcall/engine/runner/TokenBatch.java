package io.rollcall.engine.runner;

/** The tokens of one forward pass, packed without padding; reused from pass to pass. */
public final class TokenBatch {
  final int[] tokens;
  final int[] positions;
  final int[] slots;
  final int[] wanted;
  private int size;
  private int wantedSize;

  public TokenBatch(int capacity) {
    tokens = new int[capacity];
    positions = new int[capacity];
    slots = new int[capacity];
    wanted = new int[capacity];
  }

  public int capacity() {
    return tokens.length;
  }

  public int size() {
    return size;
  }

  public boolean full() {
    return size == tokens.length;
  }

  /** How many rows of logits the pass gives. */
  public int logitRows() {
    return wantedSize;
  }

  public void clear() {
    size = 0;
    wantedSize = 0;
  }

  /**
   * @param position of the token in its sequence
   * @param slot of the sequence in the key/value cache
   * @param wantsLogits whether the next token's logits are wanted after this one
   */
  public void add(int token, int position, int slot, boolean wantsLogits) {
    tokens[size] = token;
    positions[size] = position;
    slots[size] = slot;
    if (wantsLogits) {
      wanted[wantedSize++] = size;
    }
    size++;
  }
}
