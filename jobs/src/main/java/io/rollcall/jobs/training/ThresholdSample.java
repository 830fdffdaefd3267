package io.rollcall.jobs.training;

import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.jobs.input.DocumentRows;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.Row;
import scala.Tuple2;

/**
 * Documents that thresholds come from: the first ones of each partition.
 *
 * @param training those of partitions that are trained on
 * @param heldOut those of the others
 */
record ThresholdSample(List<Document> training, List<Document> heldOut) {
  /** Documents wanted of each kind. */
  private static final int DOCUMENTS = 64;

  /**
   * @param references whether the documents have some
   * @param seed of their order
   */
  static ThresholdSample of(
      JavaRDD<Row> documents, HeldOutPartitions holdOut, boolean references, long seed) {
    List<Tuple2<Integer, String[]>> sample =
        documents
            .mapPartitionsWithIndex(
                (Integer partition, Iterator<Row> rows) ->
                    DocumentRows.read(rows, references, seed).stream()
                        .limit(share(holdOut, partition))
                        .map(d -> new Tuple2<>(partition, DocumentRows.text(d)))
                        .iterator(),
                true)
            .collect();
    return new ThresholdSample(select(sample, holdOut, false), select(sample, holdOut, true));
  }

  private static int share(HeldOutPartitions holdOut, int partition) {
    int alike =
        holdOut.holds(partition)
            ? holdOut.heldOut()
            : holdOut.partitions() - holdOut.heldOut();
    return (DOCUMENTS + alike - 1) / alike;
  }

  private static List<Document> select(
      List<Tuple2<Integer, String[]>> sample, HeldOutPartitions holdOut, boolean heldOut) {
    return sample.stream()
        .filter(document -> holdOut.holds(document._1()) == heldOut)
        .map(document -> DocumentRows.document(document._2()))
        .toList();
  }
}
