package io.rollcall.jobs.analysis;

import io.rollcall.jobs.evaluate.Metrics;
import java.util.List;
import java.util.Optional;

/** What evaluate found for a run's own configuration, beside dense on the same documents. */
record Quality(Metrics of, Metrics dense) {

  /** Empty unless method, union, sparsity and batch size are the run's. */
  static Optional<Quality> of(Run run, List<Metrics> evaluated) {
    Metrics dense = null;
    Quality found = null;
    for (Metrics metrics : evaluated) {
      if (metrics.sparsity() == 0) {
        // each evaluation's list begins with its dense
        dense = metrics;
      } else if (dense != null
          && metrics.method().equals(run.method().toString())
          && metrics.union().equals(run.union())
          && metrics.batchSize() == run.batchSize()
          && Math.abs(metrics.sparsity() - run.sparsity(run.batchSize())) < 1e-9) {
        found = new Quality(metrics, dense);
      }
    }
    return Optional.ofNullable(found);
  }
}
