package io.rollcall.jobs.calibrate;

import io.rollcall.engine.UserException;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.jobs.input.PromptTable;
import java.util.List;
import java.util.Locale;
import java.util.function.UnaryOperator;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * The documents of a search.
 *
 * @param searched that it may see
 * @param heldOut that it is checked on
 */
record SearchCorpus(List<Document> searched, List<Document> heldOut) {
  /** Documents to search with, and as many to check on, where the corpus has them. */
  private static final int DOCUMENTS = 128;
  /** The same in batches, for the steps at the end are not full. */
  private static final int BATCHES = 8;
  private static final int HELD_OUT_SHARE = 4;
  private static final int ENOUGH_DOCUMENTS = 64;
  private static final int ENOUGH_BATCHES = 8;

  /**
   * The first documents by a hash of their ids; the very first are held out.
   *
   * @throws UserException when there are too few
   */
  static SearchCorpus of(PromptTable table, CalibrateRequest request) {
    int batch = request.decoding().batchSize();
    int wanted = Math.max(DOCUMENTS, BATCHES * batch);
    List<Document> documents = table.referenced((1 + HELD_OUT_SHARE) * wanted);
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
    int heldOut = Math.min(wanted, documents.size() / HELD_OUT_SHARE);
    return new SearchCorpus(
        documents.subList(heldOut, Math.min(documents.size(), heldOut + wanted)),
        documents.subList(0, heldOut));
  }

  /** A table without what is held out. */
  PromptTable others(SparkSession spark, PromptTable table) {
    Dataset<Row> ids =
        spark
            .createDataset(heldOut.stream().map(Document::id).toList(), Encoders.STRING())
            .toDF(PromptTable.ID);
    return table.without(ids);
  }

  /** With answers for references. */
  SearchCorpus answered(UnaryOperator<List<Document>> answers) {
    return new SearchCorpus(answers.apply(searched), answers.apply(heldOut));
  }
}
