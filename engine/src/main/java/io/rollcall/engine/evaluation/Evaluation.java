package io.rollcall.engine.evaluation;

import java.io.Serializable;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * What several plans did with the same documents.
 *
 * @param plans in the order they were given, dense first
 * @param leftOut documents that could not be evaluated, by why
 */
public record Evaluation(List<PlanScores> plans, Map<String, Long> leftOut) implements Serializable {

  /** Of two parts of a corpus. */
  public Evaluation plus(Evaluation other) {
    Map<String, Long> reasons = new TreeMap<>(leftOut);
    other.leftOut.forEach((why, count) -> reasons.merge(why, count, Long::sum));
    return new Evaluation(
        IntStream.range(0, plans.size())
            .mapToObj(i -> plans.get(i).plus(other.plans.get(i)))
            .toList(),
        reasons);
  }

  /** Documents that were. */
  public int documents() {
    return plans.get(0).documents().size();
  }
}
