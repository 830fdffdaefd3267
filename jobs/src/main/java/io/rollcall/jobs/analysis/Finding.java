package io.rollcall.jobs.analysis;

import java.util.List;

/**
 * A question about runs and what their tables answer.
 *
 * @param id a word, for links
 * @param charts none where the runs do not tell
 * @param sentences two, with the figures that matter
 * @param table the charts' figures
 * @param estimate whether the answer is computed for what did not run
 */
public record Finding(
    String id,
    String question,
    List<Chart> charts,
    List<String> sentences,
    DataTable table,
    boolean estimate) {

  /** Two sentences, as a paragraph. */
  public String text() {
    return String.join(" ", sentences);
  }
}
