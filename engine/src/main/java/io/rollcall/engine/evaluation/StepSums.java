package io.rollcall.engine.evaluation;

import io.rollcall.engine.statistics.LayerStatistics;
import java.io.Serializable;

/**
 * Sums over the layers of decode steps.
 *
 * @param steps times layers
 * @param sequences times layers
 * @param own sum over sequences and layers of the fraction called
 * @param union sum over steps and layers of the fraction in the union
 */
public record StepSums(
    long steps, long sequences, double own, double union, long bytesRead, long bytesDense)
    implements Serializable {
  public static final StepSums NONE = new StepSums(0, 0, 0, 0, 0, 0);

  static StepSums of(LayerStatistics layer) {
    return new StepSums(
        layer.steps(),
        layer.sequences(),
        layer.ownDensity() * layer.sequences(),
        layer.unionDensity() * layer.steps(),
        layer.bytesRead(),
        layer.bytesDense());
  }

  public StepSums plus(StepSums other) {
    return new StepSums(
        steps + other.steps,
        sequences + other.sequences,
        own + other.own,
        union + other.union,
        bytesRead + other.bytesRead,
        bytesDense + other.bytesDense);
  }

  /** NaN of nothing. */
  public double ownDensity() {
    return own / sequences;
  }

  /** NaN of nothing. */
  public double unionDensity() {
    return union / steps;
  }
}
