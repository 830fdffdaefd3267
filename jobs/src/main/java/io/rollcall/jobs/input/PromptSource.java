package io.rollcall.jobs.input;

import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.output.Tables;
import java.io.Serializable;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Where the prompts are.
 *
 * @param path Parquet or JSON lines (by ending): a file, directory or glob, any Hadoop URI
 * @param idColumn cast to text
 * @param promptColumn text
 * @param keepColumns input columns that follow the generation's own in the output
 * @param limit most prompts taken, chosen by a hash of the id; 0 for all
 */
public record PromptSource(
    String path, String idColumn, String promptColumn, List<String> keepColumns, long limit)
    implements Serializable {

  public PromptSource {
    keepColumns = List.copyOf(keepColumns);
    Set<String> names = new HashSet<>(Tables.reserved());
    for (String column : keepColumns) {
      if (!names.add(column.toLowerCase(Locale.ROOT))) {
        throw new UsageException(
            "--keep-columns " + column + " would stand twice in the output; rename it in the input");
      }
    }
    if (limit < 0) {
      throw new UsageException("--limit " + limit + " is below 0; leave it out to take all prompts");
    }
  }

  /** All of a path's rows, with the default column names. */
  public static PromptSource of(String path) {
    return new PromptSource(path, "id", "prompt", List.of(), 0);
  }
}
