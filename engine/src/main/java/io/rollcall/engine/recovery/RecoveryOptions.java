package io.rollcall.engine.recovery;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Correction;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import java.io.Serializable;

/**
 * What corrections are wanted.
 *
 * @param rank of their maps; 0 for biases alone
 * @param batchSize of the runs that they are for: every bucket up to it gets biases of its own
 * @param layersPerPass layers whose errors one pass over the documents gathers: fewer need less memory
 *     and correct what earlier layers left, all of them need one pass
 */
public record RecoveryOptions(int rank, int batchSize, int layersPerPass) implements Serializable {
  /** Fraction of the model's parameters that corrections may have. */
  public static final double SHARE = 0.01;

  private static final long STATISTICS_BYTES = 256L << 20;

  public RecoveryOptions {
    if (rank < 0 || batchSize < 1 || layersPerPass < 1) {
      throw new IllegalArgumentException(rank + ", " + batchSize + ", " + layersPerPass);
    }
  }

  /**
   * The largest rank within the share of the model's parameters, at most d; the biases of all buckets
   * count too.
   */
  public static int largestRank(ModelConfig model, UnionStrategy union, int batchSize) {
    int rank = 0;
    while (rank < model.hiddenSize()
        && parameters(model, union, batchSize, rank + 1) <= SHARE * model.parameters()) {
      rank++;
    }
    return rank;
  }

  /** @throws UserException when corrections would have more parameters than the share */
  public void requireFits(ModelConfig model, UnionStrategy union, String modelName) {
    long parameters = parameters(model, union, batchSize, rank);
    int largest = largestRank(model, union, batchSize);
    if (rank > largest) {
      throw new UserException(
          String.format(
              "corrections of rank %d have %d parameters, more than 1 %% of the %d of model '%s'; give"
                  + " a rank of at most %d",
              rank, parameters, model.parameters(), modelName, largest));
    }
  }

  /** As many as 256 MiB of statistics hold, at least one. */
  public static int layersPerPass(ModelConfig model) {
    long held = STATISTICS_BYTES / statisticsBytes(model.hiddenSize());
    return (int) Math.max(1, Math.min(model.layers(), held));
  }

  /**
   * @throws UserException when the statistics of one pass, their merging and the solution take more
   *     than half of the process's heap
   */
  public void requireMemory(int hidden) {
    // a copy to merge with, and d x d matrices of the solution
    long needed = rank == 0 ? 0 : (2L * layersPerPass + 2) * statisticsBytes(hidden);
    long most = Runtime.getRuntime().maxMemory() / 2;
    if (needed > most) {
      throw new UserException(
          String.format(
              "fitting maps for %d layers of hidden size %d at a time takes %d MiB, and half of the"
                  + " process's heap is %d MiB; give --rank 0, fewer --layers-per-pass, or more"
                  + " --driver-memory and --executor-memory",
              layersPerPass, hidden, needed >> 20, most >> 20));
    }
  }

  /** X^T X and X^T E in doubles, of training and held-out positions. */
  private static long statisticsBytes(int hidden) {
    return 4L * hidden * hidden * Double.BYTES;
  }

  private static long parameters(
      ModelConfig model, UnionStrategy union, int batchSize, int rank) {
    return model.layers()
        * Correction.parameters(rank, model.hiddenSize(), buckets(union, batchSize));
  }

  /** Buckets with biases of their own: what a sequence drops under own is the same in any batch. */
  static int buckets(UnionStrategy union, int batchSize) {
    return union instanceof UnionStrategy.Own ? 1 : BatchBuckets.count(batchSize);
  }

  int buckets(SparsityProfile profile) {
    return buckets(profile.union(), batchSize);
  }
}
