package io.rollcall.engine.runner;

import io.rollcall.engine.sampling.RandomStream;

/** The tokens of one forward pass, packed without padding; reused from pass to pass. */
public final class TokenBatch {
  final int[] tokens;
  final int[] positions;
  final int[] slots;
  final int[] wanted;
  final RandomStream[] random;
  private int size;
  private int wantedSize;

  public TokenBatch(int capacity) {
    tokens = new int[capacity];
    positions = new int[capacity];
    slots = new int[capacity];
    wanted = new int[capacity];
    random = new RandomStream[capacity];
  }

  /** Most tokens of a pass. */
  public int capacity() {
    return tokens.length;
  }

  /** Tokens of the pass. */
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

  /** Of which the first {@link #size()} are the pass's; for runners. */
  public int[] tokens() {
    return tokens;
  }

  /** Of the tokens in their sequences. */
  public int[] positions() {
    return positions;
  }

  /** Of the tokens' sequences in the key/value cache. */
  public int[] slots() {
    return slots;
  }

  /** Rows after which the next token is wanted; the first {@link #logitRows()} are the pass's. */
  public int[] wanted() {
    return wanted;
  }

  /** Streams of their sequences. */
  public RandomStream[] random() {
    return random;
  }

  /** Begins the next pass. */
  public void clear() {
    size = 0;
    wantedSize = 0;
  }

  /**
   * @param position of the token in its sequence
   * @param slot of the sequence in the key/value cache
   */
  public void add(int token, int position, int slot) {
    tokens[size] = token;
    positions[size] = position;
    slots[size] = slot;
    size++;
  }

  /**
   * Adds a token after which the next one is wanted.
   *
   * @param stream of the sequence
   */
  public void addLast(int token, int position, int slot, RandomStream stream) {
    random[wantedSize] = stream;
    wanted[wantedSize++] = size;
    add(token, position, slot);
  }
}
