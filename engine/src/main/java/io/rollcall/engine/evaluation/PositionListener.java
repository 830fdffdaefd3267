package io.rollcall.engine.evaluation;

/** Sees what runners think comes next, at every decode position of a document. */
@FunctionalInterface
public interface PositionListener {

  /**
   * @param position in the reference, from 0
   * @param next the reference's token there
   * @param batch documents in the step
   * @param logits of each runner in the order they were given; only for the duration of the call
   * @param offset where the row [vocabulary] of this position begins in each
   */
  void position(
      ReferencedDocument document,
      int position,
      int next,
      int batch,
      float[][] logits,
      int offset);
}
