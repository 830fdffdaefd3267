package io.rollcall.jobs.generate;

import io.rollcall.engine.generation.EncodedPrompt;
import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.generation.PromptEncoder;
import io.rollcall.jobs.input.PromptTable;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import org.apache.spark.TaskContext;
import org.apache.spark.sql.Row;

/**
 * The prompts of a partition as the task's thread reads and encodes them. Rows that the input already ruled out go to
 * {@link #rejected} instead; kept columns wait here for their generation.
 */
final class PromptFeed implements Iterator<EncodedPrompt> {
  private final Iterator<Row> rows;
  private final PromptEncoder encoder;
  private final List<?> nothingKept;
  private final TaskContext task;
  private final ArrayDeque<Generation> rejected = new ArrayDeque<>();
  private final Map<String, List<?>> kept = new HashMap<>();
  private EncodedPrompt next;

  PromptFeed(Iterator<Row> rows, PromptEncoder encoder, int keptColumns, TaskContext task) {
    this.rows = rows;
    this.encoder = encoder;
    this.nothingKept = Arrays.asList(new Object[keptColumns]);
    this.task = task;
  }

  @Override
  public boolean hasNext() {
    task.killTaskIfInterrupted();
    while (next == null && rows.hasNext()) {
      Row row = rows.next();
      String id = row.getAs(PromptTable.ID);
      Row columns = nothingKept.isEmpty() ? null : row.getAs(PromptTable.KEPT);
      if (columns != null) {
        kept.put(id, values(columns));
      }
      String error = row.getAs(PromptTable.ERROR);
      if (error == null) {
        next = encoder.encode(new Prompt(id, row.getAs(PromptTable.PROMPT)));
      } else {
        rejected.add(Generation.error(id, error, 0));
      }
    }
    return next != null;
  }

  @Override
  public EncodedPrompt next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    EncodedPrompt prompt = next;
    next = null;
    return prompt;
  }

  /** An error row for a prompt that was never tried, or null. */
  Generation rejected() {
    return rejected.poll();
  }

  /** The kept columns of a prompt, given once; nulls where the input had none to give. */
  List<?> takeKept(String id) {
    List<?> values = kept.remove(id);
    return values == null ? nothingKept : values;
  }

  private static List<?> values(Row row) {
    Object[] values = new Object[row.length()];
    for (int i = 0; i < values.length; i++) {
      values[i] = row.get(i);
    }
    return Arrays.asList(values);
  }
}
