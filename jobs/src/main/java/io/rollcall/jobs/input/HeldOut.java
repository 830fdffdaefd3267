package io.rollcall.jobs.input;

import io.rollcall.engine.calibration.DecodePositions.Document;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Documents that nothing is fitted to: the first by a hash of their ids. Commands that fit to the same
 * input hold out the same ones, so that what one of them found can be checked by another.
 */
public final class HeldOut {
  private static final int DOCUMENTS = 128;
  /** The same in batches, for the steps at the end are not full. */
  private static final int BATCHES = 8;

  private static final int SHARE = 4;

  private HeldOut() {}

  /** Documents that are enough to check on. */
  public static int wanted(int batchSize) {
    return Math.max(DOCUMENTS, BATCHES * batchSize);
  }

  /** Documents of which {@link #wanted} are no more than the share that is held out. */
  public static int known(int batchSize) {
    return SHARE * wanted(batchSize);
  }

  /** How many of the documents are held out: those that are wanted, at most a quarter. */
  public static int count(int documents, int batchSize) {
    return Math.min(wanted(batchSize), documents / SHARE);
  }

  /** A table without them. */
  public static PromptTable without(List<Document> heldOut, SparkSession spark, PromptTable table) {
    Dataset<Row> ids =
        spark
            .createDataset(heldOut.stream().map(Document::id).toList(), Encoders.STRING())
            .toDF(PromptTable.ID);
    return table.without(ids);
  }
}
