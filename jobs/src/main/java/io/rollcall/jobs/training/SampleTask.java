package io.rollcall.jobs.training;

import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.jobs.input.DocumentRows;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.function.Function2;
import org.apache.spark.sql.Row;

/** The first documents of each partition, for thresholds: {partition, id, prompt, reference}. */
final class SampleTask implements Function2<Integer, Iterator<Row>, Iterator<String[]>> {
  private final HoldOut holdOut;
  private final int documents;
  private final boolean references;
  private final long seed;

  /** @param documents wanted of those trained on, and of those held out */
  SampleTask(HoldOut holdOut, int documents, boolean references, long seed) {
    this.holdOut = holdOut;
    this.documents = documents;
    this.references = references;
    this.seed = seed;
  }

  @Override
  public Iterator<String[]> call(Integer partition, Iterator<Row> rows) {
    int alike =
        holdOut.holds(partition)
            ? holdOut.heldOut()
            : holdOut.partitions() - holdOut.heldOut();
    List<Document> all = DocumentRows.read(rows, references, seed);
    return all.stream()
        .limit((documents + alike - 1) / alike)
        .map(d -> new String[] {partition.toString(), d.id(), d.prompt(), d.reference()})
        .iterator();
  }
}
