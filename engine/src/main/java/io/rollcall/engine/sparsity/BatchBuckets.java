package io.rollcall.engine.sparsity;

/** Batch sizes up to 1, 2, 4, 8, … share one set of thresholds: bucket k holds up to 2^k. */
public final class BatchBuckets {
  private BatchBuckets() {}

  /** The bucket of a step with {@code batch} sequences. */
  public static int of(int batch) {
    return batch <= 1 ? 0 : 32 - Integer.numberOfLeadingZeros(batch - 1);
  }

  /** Largest batch of a bucket. */
  public static int largest(int bucket) {
    return 1 << bucket;
  }

  /** Largest batch of the bucket of a step with {@code batch} sequences. */
  public static int padded(int batch) {
    return largest(of(batch));
  }

  /** Buckets that a generator of this batch size can meet. */
  public static int count(int batchSize) {
    return of(batchSize) + 1;
  }
}
