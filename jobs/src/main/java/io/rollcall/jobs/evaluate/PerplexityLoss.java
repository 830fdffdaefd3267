package io.rollcall.jobs.evaluate;

import io.rollcall.engine.evaluation.Bootstrap;
import io.rollcall.engine.evaluation.PlanScores;
import java.util.Arrays;

/**
 * Rise of perplexity over another plan's, dense's say, on the same documents.
 *
 * @param value 0.05 for 5 %
 * @param interval of 95 % by bootstrap over documents
 */
public record PerplexityLoss(double value, Bootstrap.Interval interval) {

  public static PerplexityLoss of(PlanScores scores, PlanScores dense, Bootstrap bootstrap) {
    Metrics.Sample sample = new Metrics.Sample(scores.documents(), dense.documents());
    int[] once = new int[scores.documents().size()];
    Arrays.fill(once, 1);
    return new PerplexityLoss(sample.loss(once), bootstrap.interval(sample::loss));
  }
}
