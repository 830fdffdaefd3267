package io.rollcall.engine.recovery;

import io.rollcall.engine.algebra.Products;
import io.rollcall.engine.evaluation.ReferencedDocument;
import io.rollcall.engine.evaluation.TeacherForcedRunner;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.kernels.WorkerPool;
import io.rollcall.kernels.cpu.CpuKernels;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Decodes documents' references by a profile, dense beside it, and gathers the errors of some layers in
 * batches as large as the corrections are for. Smaller batches, which a run has only at its ends, are
 * decoded of a few documents.
 */
public final class RecoveryPass {
  /** Of so many documents one is decoded in every smaller bucket too. */
  private static final int SMALLER = 8;

  private final LoadedModel model;
  private final RecoveryOptions options;
  private final int workers;

  /** Hears that a document is being decoded; may throw, to end the pass. */
  @FunctionalInterface
  public interface Progress {
    void next();
  }

  public RecoveryPass(LoadedModel model, RecoveryOptions options, int workers) {
    this.model = model;
    this.options = options;
    this.workers = workers;
  }

  /**
   * @param profile with the corrections found so far, if any
   * @param documents that fit the model's context
   * @return of each layer of the range
   * @throws io.rollcall.engine.UserException on a backend that cannot show its layers, or when memory
   *     is too small
   */
  public List<CorrectionStatistics> gather(
      SparsityProfile profile,
      LayerRange layers,
      List<ReferencedDocument> documents,
      Progress progress) {
    int buckets = options.buckets(profile);
    int hidden = model.config().hiddenSize();
    options.requireMemory(hidden);
    List<CorrectionStatistics> statistics =
        Stream.generate(() -> CorrectionStatistics.none(hidden, buckets, options.rank() > 0))
            .limit(layers.count())
            .toList();
    if (documents.isEmpty()) {
      return statistics;
    }
    int context =
        documents.stream().mapToInt(ReferencedDocument::positions).max().orElseThrow();
    try (WorkerPool pool = new WorkerPool(workers)) {
      Products products = new Products(CpuKernels.create(pool));
      for (int k = 0; k < buckets; k++) {
        boolean largest = k == buckets - 1;
        int batchSize =
            largest ? options.batchSize() : Math.min(options.batchSize(), BatchBuckets.largest(k));
        ErrorSampler sampler = new ErrorSampler(layers, statistics, batchSize, products);
        RunnerOptions runner = RunnerOptions.greedy(batchSize, context, workers);
        try (TeacherForcedRunner forced = forced(profile, sampler, runner)) {
          forced.run(
              (largest ? documents : some(documents))
                  .stream().peek(document -> progress.next()).iterator(),
              sampler);
        }
        sampler.finish();
      }
    }
    return statistics;
  }

  private TeacherForcedRunner forced(
      SparsityProfile profile, ErrorSampler sampler, RunnerOptions options) {
    List<ModelRunner> runners = new ArrayList<>();
    try {
      runners.add(
          model.observed(SparsityPlan.dense(model.digest()), sampler::dense, options));
      runners.add(
          model.observed(new SparsityPlan(profile, Crossover.never()), sampler::sparse, options));
      return new TeacherForcedRunner(model, options.slots(), options.context(), runners);
    } catch (RuntimeException e) {
      runners.forEach(ModelRunner::close);
      throw e;
    }
  }

  private static List<ReferencedDocument> some(List<ReferencedDocument> documents) {
    return IntStream.range(0, documents.size())
        .filter(i -> i % SMALLER == 0)
        .mapToObj(documents::get)
        .toList();
  }
}
