package io.rollcall.engine.recovery;

import java.io.Serializable;

/**
 * What one layer's correction is fitted from.
 *
 * @param training what it is fitted to
 * @param heldOut what it is judged by: other documents
 */
public record CorrectionStatistics(ErrorMoments training, ErrorMoments heldOut)
    implements Serializable {

  /** Of no positions. */
  public static CorrectionStatistics none(int hidden, int buckets, boolean products) {
    return new CorrectionStatistics(
        new ErrorMoments(hidden, buckets, products), new ErrorMoments(hidden, buckets, products));
  }

  /** Adds the others'. */
  public CorrectionStatistics plus(CorrectionStatistics others) {
    return new CorrectionStatistics(
        training.plus(others.training), heldOut.plus(others.heldOut));
  }
}
