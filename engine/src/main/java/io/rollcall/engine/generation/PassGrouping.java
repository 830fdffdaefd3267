package io.rollcall.engine.generation;

import io.rollcall.engine.runner.ModelRunner;

/**
 * How many slots should fall free before waiting prompts are prefilled. Where a pass takes u beyond what its
 * tokens add (in parts of what a decode step takes beyond its sequences), k prompts in one pass cost u / k
 * each; but meanwhile (k - 1) / 2 of the s slots are empty on average, and the n steps of an answer are shared
 * by as many fewer. u / k + n / (s - k / 2) is least at k = s / (1/2 + sqrt(n / 2u)). No more prompts than
 * fill a pass are waited for.
 *
 * <p>Counts decide, and no clock: the same prompts in the same order are grouped alike in every run.
 */
final class PassGrouping {
  private final ModelRunner runner;
  private final int slots;
  private long answerTokens;
  private long answers;

  PassGrouping(ModelRunner runner, GenerationOptions options) {
    this.runner = runner;
    slots = options.batchSize();
    // until answers have ended they count as long as they may be
    answerTokens = options.maxNewTokens();
    answers = 1;
  }

  /** At least 1. */
  int slots(int promptLength) {
    double overhead = runner.passOverhead(promptLength);
    double tokens = (double) answerTokens / answers;
    double best = slots / (0.5 + Math.sqrt(tokens / (2 * overhead)));
    long fill = Math.max(1, runner.tokenCapacity() / Math.max(1, promptLength));
    return (int) Math.max(1, Math.min(fill, Math.round(best)));
  }

  /** Counts an answer that has ended. */
  void answered(int tokens) {
    answerTokens += tokens;
    answers++;
  }
}
