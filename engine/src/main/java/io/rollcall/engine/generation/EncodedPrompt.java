package io.rollcall.engine.generation;

/**
 * A prompt as the model is given it, or why it is not.
 *
 * @param tokens of the whole prompt; null where there is an error
 * @param error why it cannot be answered; null where it can
 * @param count of tokens, as far as they are known
 */
public record EncodedPrompt(String id, int[] tokens, String error, int count) {

  static EncodedPrompt error(String id, String why, int count) {
    return new EncodedPrompt(id, null, why, count);
  }
}
