package io.rollcall.engine.sparsity;

import io.rollcall.engine.model.Model;
import io.rollcall.engine.text.PromptTemplate;
import java.util.List;

/** Finds thresholds for a wanted sparsity by running a sample of prompts. */
public final class Calibrator {
  private Calibrator() {}

  /**
   * One pass over the sample's greedy dense generations; a threshold is the mean over decode
   * positions of the layer's quantile.
   *
   * @param sparsity in (0, 1)
   * @param batchSize buckets up to it get thresholds
   * @param sample prompt texts
   * @param corpus what to call the sample in the profile
   */
  public static SparsityProfile calibrate(
      Model model,
      Method method,
      UnionStrategy union,
      double sparsity,
      int batchSize,
      int maxNewTokens,
      PromptTemplate template,
      List<String> sample,
      String corpus,
      int workers) {
    throw new UnsupportedOperationException();
  }
}
