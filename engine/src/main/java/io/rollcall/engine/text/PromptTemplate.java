package io.rollcall.engine.text;

/** Turns a row's prompt into the tokens that a model is given. Immutable, safe for concurrent use. */
public final class PromptTemplate {

  /** As the user would name it: raw, summarize, chat, or a file. */
  public String name() {
    throw new UnsupportedOperationException();
  }

  /** The tokens of a prompt, as {@code add_special_tokens} and the template want them. */
  public int[] encode(String prompt) {
    throw new UnsupportedOperationException();
  }
}
