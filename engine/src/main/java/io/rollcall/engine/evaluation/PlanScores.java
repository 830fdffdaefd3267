package io.rollcall.engine.evaluation;

import io.rollcall.engine.generation.PhaseTimes;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BinaryOperator;

/**
 * What one plan did with a corpus, or a part of it.
 *
 * @param documents one each; no positions where a document met no full step
 * @param smaller sums of the steps with fewer documents than asked for, by their batch size
 * @param steps what the reference's steps called and loaded, by batch size
 * @param times of the greedy answers
 */
public record PlanScores(
    List<DocumentScore> documents,
    Map<Integer, PositionSums> smaller,
    Map<Integer, StepSums> steps,
    PhaseTimes times)
    implements Serializable {

  /** Sums over the positions of all documents. */
  public PositionSums total() {
    return documents.stream().map(DocumentScore::sums).reduce(PositionSums.NONE, PositionSums::plus);
  }

  public PlanScores plus(PlanScores other) {
    List<DocumentScore> all = new ArrayList<>(documents);
    all.addAll(other.documents);
    return new PlanScores(
        all,
        merged(smaller, other.smaller, PositionSums::plus),
        merged(steps, other.steps, StepSums::plus),
        times.plus(other.times));
  }

  private static <T> Map<Integer, T> merged(
      Map<Integer, T> a, Map<Integer, T> b, BinaryOperator<T> plus) {
    Map<Integer, T> sum = new TreeMap<>(a);
    b.forEach((key, value) -> sum.merge(key, value, plus));
    return sum;
  }
}
