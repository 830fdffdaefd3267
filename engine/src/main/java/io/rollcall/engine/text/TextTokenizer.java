package io.rollcall.engine.text;

/** A checkpoint's tokenizer.json. Safe for concurrent use. */
public final class TextTokenizer implements AutoCloseable {

  /**
   * @param special whether the tokenizer adds its own special tokens (begin of text); special tokens
   *     written out in the text are recognised either way
   */
  public int[] encode(String text, boolean special) {
    throw new UnsupportedOperationException();
  }

  /** Text of tokens, special tokens left out. */
  public String decode(int[] tokens) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}
}
