package io.rollcall.jobs.input;

import io.rollcall.engine.calibration.DecodePositions.Document;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import org.apache.spark.sql.Row;

/** Documents out of a {@link PromptTable}, and on their way between tasks. */
public final class DocumentRows {
  private DocumentRows() {}

  /** As plain text, which passes every serializer: {id, prompt, reference}. */
  public static String[] text(Document document) {
    return new String[] {document.id(), document.prompt(), document.reference()};
  }

  /** What {@link #text} made of it. */
  public static Document document(String[] text) {
    return new Document(text[0], text[1], text[2]);
  }

  /**
   * The documents of a partition, in an order of the seed's own: a task may not get to the last.
   *
   * @param references whether the one kept column has what the prompts should be answered with
   * @param seed of the order
   */
  public static List<Document> read(Iterator<Row> rows, boolean references, long seed) {
    List<Document> documents = new ArrayList<>();
    while (rows.hasNext()) {
      Row row = rows.next();
      if (row.getAs(PromptTable.ERROR) == null) {
        Row kept = references ? row.getAs(PromptTable.KEPT) : null;
        documents.add(
            new Document(
                row.getAs(PromptTable.ID),
                row.getAs(PromptTable.PROMPT),
                kept == null ? null : kept.getString(kept.length() - 1)));
      }
    }
    // they came in order of their ids
    Collections.shuffle(documents, new Random(seed));
    return documents;
  }
}
