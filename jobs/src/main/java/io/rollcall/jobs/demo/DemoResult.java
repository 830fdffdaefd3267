package io.rollcall.jobs.demo;

import io.rollcall.jobs.generate.GenerateResult;
import java.util.List;

/**
 * What the demo showed.
 *
 * @param documents path of the corpus
 * @param batchSize of the run
 */
public record DemoResult(
    String model,
    String documents,
    GenerateResult run,
    List<Summary> preview,
    Comparison comparison,
    int batchSize) {

  /** One document and what the model made of it. */
  public record Summary(String id, String document, String summary) {}

  /** The page that the demo prints: at most 100 columns and some 60 lines. */
  public String page() {
    return new DemoPage(this).toString();
  }
}
