package io.rollcall.engine.model;

import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.engine.text.TextTokenizer;

/**
 * What a model is, apart from its weights: immutable, shared by every task of a process.
 *
 * @param name how the user named it
 * @param digest hex SHA-256 over the checkpoint's config and weights; what a profile is tied to
 * @param template the template used where none is asked for
 */
public record Model(
    String name,
    String digest,
    ModelConfig config,
    TextTokenizer tokenizer,
    PromptTemplate template)
    implements AutoCloseable {

  @Override
  public void close() {
    tokenizer.close();
  }
}
