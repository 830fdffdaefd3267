package io.rollcall.jobs.calibrate;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.jobs.input.HeldOut;
import io.rollcall.jobs.input.PromptTable;
import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;

/**
 * The documents of a search.
 *
 * @param searched that it may see
 * @param heldOut that it is checked on
 */
record SearchCorpus(List<Document> searched, List<Document> heldOut) {
  private static final int ENOUGH_DOCUMENTS = 64;
  private static final int ENOUGH_BATCHES = 8;

  /**
   * The first documents by a hash of their ids, as many as are held out where the corpus has them; the
   * very first are {@link HeldOut}.
   *
   * @throws UserException when there are too few
   */
  static SearchCorpus of(PromptTable table, CalibrateRequest request) {
    int batch = request.decoding().batchSize();
    int wanted = HeldOut.wanted(batch);
    List<Document> documents = table.referenced(HeldOut.known(batch) + wanted);
    int enough = Math.max(ENOUGH_DOCUMENTS, ENOUGH_BATCHES * batch);
    if (documents.size() < enough) {
      throw new UserException(
          String.format(
              Locale.ROOT,
              "input '%s' is too small to search: %d documents can be used%s, and %d are enough for"
                  + " --batch-size %d; give more documents or a smaller --batch-size",
              request.input().path(),
              documents.size(),
              request.references() == null
                  ? ""
                  : " that have both a prompt and text in column '" + request.references() + "'",
              enough,
              batch));
    }
    int heldOut = HeldOut.count(documents.size(), batch);
    return new SearchCorpus(
        documents.subList(heldOut, Math.min(documents.size(), heldOut + wanted)),
        documents.subList(0, heldOut));
  }

  /** With answers for references. */
  SearchCorpus answered(UnaryOperator<List<Document>> answers) {
    return new SearchCorpus(answers.apply(searched), answers.apply(heldOut));
  }
}
