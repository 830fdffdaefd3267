package io.rollcall.engine.evaluation;

/**
 * A prompt with the answer that it should get.
 *
 * @param index in the corpus
 * @param prompt tokens, templated; at least one
 * @param reference tokens, the end token counted; at least one
 */
public record ReferencedDocument(int index, String id, int[] prompt, int[] reference) {

  /** Positions that it takes in a cache: the reference's last token is never fed. */
  public int positions() {
    return prompt.length + reference.length - 1;
  }
}
