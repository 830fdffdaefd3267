package io.rollcall.jobs.evaluate;

import com.fasterxml.jackson.annotation.JsonProperty;
import io.rollcall.engine.evaluation.Bootstrap;
import io.rollcall.engine.evaluation.DocumentScore;
import io.rollcall.engine.evaluation.PlanScores;
import io.rollcall.engine.evaluation.PositionSums;
import io.rollcall.engine.evaluation.StepSums;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;

/**
 * One configuration's line of metrics.json. Perplexity, accuracy, divergence, densities and bytes are
 * of the steps that had the whole batch in flight; intervals are of 95 % by bootstrap over documents.
 *
 * @param sparsity asked for at this batch size; 0 for dense
 * @param profile file of the thresholds; null for dense and for the model's own
 * @param sameAsDense share of greedy answers that are dense's, to the letter
 * @param kl mean of KL(dense || this) over decode positions, nats
 * @param decodeTokensPerS of a task, greedy answers
 * @param perplexityLoss perplexity / dense's - 1, on the same documents
 * @param tokens decode positions counted
 * @param correctionRank largest of the profile's corrections; null without
 * @param smallerBatches the steps at the end of each task's documents, by sequences in flight
 */
public record Metrics(
    String method,
    double sparsity,
    String union,
    int batchSize,
    String profile,
    double perplexity,
    double tokenAccuracy,
    double rougeL,
    double sameAsDense,
    double kl,
    double ownDensity,
    double unionDensity,
    long bytesRead,
    long bytesDense,
    double decodeTokensPerS,
    double perplexityLoss,
    Bootstrap.Interval perplexityInterval,
    Bootstrap.Interval perplexityLossInterval,
    Bootstrap.Interval tokenAccuracyInterval,
    @JsonProperty("rouge_l_interval") Bootstrap.Interval rougeLInterval,
    Bootstrap.Interval sameAsDenseInterval,
    Bootstrap.Interval klInterval,
    long tokens,
    Integer correctionRank,
    Map<Integer, Smaller> smallerBatches) {

  /** What a step with fewer sequences was worth. */
  public record Smaller(
      long tokens, double perplexity, double kl, double ownDensity, double unionDensity) {}

  /** Feed-forward bytes read, of what dense reads at the same precision. */
  public double bytesToDense() {
    return (double) bytesRead / bytesDense;
  }

  /** @param dense scores of the same documents, in the same order */
  static Metrics of(
      Candidate candidate, int batchSize, PlanScores scores, PlanScores dense, Bootstrap bootstrap) {
    Sample sample = new Sample(scores.documents(), dense.documents());
    int[] once = new int[scores.documents().size()];
    Arrays.fill(once, 1);
    StepSums steps = scores.steps().getOrDefault(batchSize, StepSums.NONE);
    return new Metrics(
        candidate.method().toString(),
        candidate.sparsity(batchSize),
        candidate.profile().union().toString(),
        batchSize,
        candidate.file(),
        sample.perplexity(once),
        sample.accuracy(once),
        sample.rougeL(once),
        sample.same(once),
        sample.divergence(once),
        steps.ownDensity(),
        steps.unionDensity(),
        steps.bytesRead(),
        steps.bytesDense(),
        scores.times().decodeTokensPerSecond(),
        sample.loss(once),
        bootstrap.interval(sample::perplexity),
        bootstrap.interval(sample::loss),
        bootstrap.interval(sample::accuracy),
        bootstrap.interval(sample::rougeL),
        bootstrap.interval(sample::same),
        bootstrap.interval(sample::divergence),
        scores.documents().stream().mapToLong(DocumentScore::tokens).sum(),
        candidate.correctionRank(),
        smaller(scores));
  }

  private static Map<Integer, Smaller> smaller(PlanScores scores) {
    Map<Integer, Smaller> smaller = new TreeMap<>();
    scores
        .smaller()
        .forEach(
            (batch, sums) ->
                smaller.put(batch, smaller(sums, scores.steps().get(batch))));
    return smaller;
  }

  private static Smaller smaller(PositionSums sums, StepSums steps) {
    return new Smaller(
        sums.tokens(),
        sums.perplexity(),
        sums.divergence() / sums.tokens(),
        steps.ownDensity(),
        steps.unionDensity());
  }

  /** Statistics of documents, each as often as it was drawn. */
  record Sample(List<DocumentScore> scores, List<DocumentScore> dense) {

    double perplexity(int[] times) {
      return Math.exp(perToken(scores, DocumentScore::loss, times));
    }

    double loss(int[] times) {
      return perplexity(times) / Math.exp(perToken(dense, DocumentScore::loss, times)) - 1;
    }

    double accuracy(int[] times) {
      return perToken(scores, DocumentScore::hits, times);
    }

    double divergence(int[] times) {
      return perToken(scores, DocumentScore::divergence, times);
    }

    double rougeL(int[] times) {
      return perDocument(DocumentScore::rougeL, times);
    }

    double same(int[] times) {
      return perDocument(score -> score.same() ? 1 : 0, times);
    }

    private static double perToken(
        List<DocumentScore> scores, ToDoubleFunction<DocumentScore> value, int[] times) {
      double sum = 0;
      long tokens = 0;
      for (int i = 0; i < times.length; i++) {
        DocumentScore score = scores.get(i);
        sum += times[i] * value.applyAsDouble(score);
        tokens += times[i] * score.tokens();
      }
      return sum / tokens;
    }

    private double perDocument(ToDoubleFunction<DocumentScore> value, int[] times) {
      double sum = 0;
      long documents = 0;
      for (int i = 0; i < times.length; i++) {
        sum += times[i] * value.applyAsDouble(scores.get(i));
        documents += times[i];
      }
      return sum / documents;
    }
  }
}
