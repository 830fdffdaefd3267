package io.rollcall.engine.generation;

import io.rollcall.engine.UserException;
import io.rollcall.engine.text.PromptTemplate;

/**
 * Renders and tokenises prompts. Safe for concurrent use, so that it can be done beside the decoding,
 * which on a fast device takes less time.
 */
public final class PromptEncoder {
  private final PromptTemplate template;
  private final int context;

  public PromptEncoder(PromptTemplate template, GenerationOptions options) {
    this.template = template;
    this.context = options.context();
  }

  /** A prompt that is null, blank, longer than the context or refused by its template has an error. */
  public EncodedPrompt encode(Prompt prompt) {
    if (prompt.text() == null) {
      return EncodedPrompt.error(prompt.id(), "prompt is null", 0);
    }
    if (prompt.text().isBlank()) {
      return EncodedPrompt.error(prompt.id(), "prompt is empty", 0);
    }
    int[] tokens;
    try {
      tokens = template.encode(prompt.text());
    } catch (UserException e) {
      return EncodedPrompt.error(prompt.id(), e.getMessage(), 0);
    } catch (RuntimeException e) {
      // whatever a template or tokenizer trips over, one prompt must not fail the job
      return EncodedPrompt.error(prompt.id(), "prompt cannot be encoded: " + e, 0);
    }
    if (tokens.length == 0) {
      return EncodedPrompt.error(prompt.id(), "prompt has no tokens", 0);
    }
    if (tokens.length >= context) {
      return EncodedPrompt.error(
          prompt.id(),
          String.format(
              "prompt has %d tokens and the context %d, with no room for an answer",
              tokens.length, context),
          tokens.length);
    }
    return new EncodedPrompt(prompt.id(), tokens, null, tokens.length);
  }
}
