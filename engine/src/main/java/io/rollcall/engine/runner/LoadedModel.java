package io.rollcall.engine.runner;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.engine.sparsity.FeedForwardCost;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.engine.text.TextTokenizer;
import io.rollcall.kernels.WeightType;
import java.util.List;

/**
 * A model with its weights where one backend computes with them: immutable, shared by every task of a
 * process.
 */
public interface LoadedModel extends AutoCloseable {

  Model model();

  Backend backend();

  /** Precision of the feed-forward weights. */
  WeightType weightType();

  /** What a layer's feed-forward weights cost to read. */
  FeedForwardCost cost();

  /** Euclidean norms of the down projections' rows as they are computed with, [layer][f]. */
  List<float[]> downNorms();

  /**
   * Holds the room of a runner's cache on the heap for what takes long and comes before the runner.
   *
   * @param slots most sequences at a time
   * @param context most positions of each
   * @throws UserException when no runner can have so many
   */
  default CacheRoom cacheRoom(int slots, int context) {
    return CacheRoom.none();
  }

  /**
   * A runner of this model, of its own cache. Runs by the plan.
   *
   * @throws io.rollcall.engine.UserException when the cache does not fit
   */
  ModelRunner runner(SparsityPlan plan, RunnerOptions options);

  /** A runner that runs dense and shows the scores of a method in every decode step. */
  ModelRunner observed(Method method, ScoreObserver observer, RunnerOptions options);

  /**
   * The same for a method that predicts: shows the predictors' logits.
   *
   * @throws UserException on a backend that cannot
   */
  default ModelRunner observed(
      Method method, Predictors predictors, ScoreObserver observer, RunnerOptions options) {
    throw new UserException(
        "predictors are trained and calibrated on the CPU, and the model is on "
            + backend() + "; give --backend cpu");
  }

  /**
   * A runner by a plan that shows its feed-forward layers from within.
   *
   * @throws UserException on a backend that cannot
   */
  default ModelRunner observed(SparsityPlan plan, LayerObserver observer, RunnerOptions options) {
    throw new UserException(
        "corrections are fitted on the CPU, and the model is on " + backend()
            + "; give --backend cpu");
  }

  /** The crossover of each batch bucket up to {@code batchSize}, measured here and now. */
  Crossover crossover(SparsityProfile profile, int batchSize, int workers);

  /** Whether it can still compute: a device that faulted cannot, and its model must be loaded anew. */
  default boolean usable() {
    return true;
  }

  default String name() {
    return model().name();
  }

  default String digest() {
    return model().digest();
  }

  default ModelConfig config() {
    return model().config();
  }

  default TextTokenizer tokenizer() {
    return model().tokenizer();
  }

  default PromptTemplate template() {
    return model().template();
  }

  @Override
  void close();
}
