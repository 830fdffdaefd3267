package io.rollcall.jobs.generate;

import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.jobs.input.DocumentRows;
import io.rollcall.jobs.runtime.RollcallPlugin;
import io.rollcall.jobs.runtime.TaskProgress;
import java.util.Iterator;
import org.apache.spark.TaskContext;

/** A task's documents as they are asked for; tells the driver how many were. */
public final class DocumentFeed implements Iterator<Document> {
  private final Iterator<String[]> rows;
  private final String runId;
  private final TaskContext task;
  private int taken;

  /**
   * @param rows as {@link DocumentRows#text}
   * @param runId that progress is reported for
   */
  public DocumentFeed(Iterator<String[]> rows, String runId, TaskContext task) {
    this.rows = rows;
    this.runId = runId;
    this.task = task;
  }

  @Override
  public boolean hasNext() {
    task.killTaskIfInterrupted();
    return rows.hasNext();
  }

  @Override
  public Document next() {
    Document document = DocumentRows.document(rows.next());
    taken++;
    RollcallPlugin.report(new TaskProgress(runId, task.partitionId(), taken));
    return document;
  }

  /** Documents asked for so far. */
  public int taken() {
    return taken;
  }
}
