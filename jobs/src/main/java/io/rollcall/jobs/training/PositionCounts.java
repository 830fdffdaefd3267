package io.rollcall.jobs.training;

import io.rollcall.engine.UserException;
import io.rollcall.engine.training.TrainingOptions;
import java.util.List;
import java.util.Locale;
import scala.Tuple2;

/** Decode positions gathered, by whether they are trained on. */
record PositionCounts(long training, long heldOut) {
  /** Positions that a judgement takes at least. */
  private static final int ENOUGH_HELD_OUT = 32;

  /** @param counts positions by partition */
  static PositionCounts of(List<Tuple2<Integer, Integer>> counts, HeldOutPartitions holdOut) {
    long training = 0;
    long heldOut = 0;
    for (Tuple2<Integer, Integer> count : counts) {
      if (holdOut.holds(count._1())) {
        heldOut += count._2();
      } else {
        training += count._2();
      }
    }
    return new PositionCounts(training, heldOut);
  }

  /** @throws UserException when they are too few for predictors of a rank */
  void requireEnough(int rank, String input) {
    int enough = TrainingOptions.enough(rank);
    if (training < enough || heldOut < ENOUGH_HELD_OUT) {
      throw new UserException(
          String.format(
              Locale.ROOT,
              "input '%s' has %d decode positions to train on and %d to hold out; rank %d takes at least"
                  + " %d and %d: give more documents, --continuations, more --positions or a lower --rank",
              input,
              training,
              heldOut,
              rank,
              enough,
              ENOUGH_HELD_OUT));
    }
  }
}
