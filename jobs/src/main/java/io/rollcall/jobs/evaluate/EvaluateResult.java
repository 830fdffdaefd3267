package io.rollcall.jobs.evaluate;

import java.util.List;

/**
 * What an evaluation found.
 *
 * @param metrics path of metrics.json
 * @param documents evaluated
 * @param adoption which profile to take, in a sentence
 */
public record EvaluateResult(
    String metrics, int documents, String adoption, double wallSeconds, List<String> page) {

  /** Tables and the sentence, at most 100 columns. */
  public String text() {
    return String.join("\n", page);
  }
}
