package io.rollcall.engine.runner;

import io.rollcall.engine.statistics.SparsityCounters;
import java.util.List;

/**
 * Runs packed tokens through a model with a key/value cache of fixed slots, and samples. One owner
 * thread.
 */
public interface ModelRunner extends AutoCloseable {

  /** What computes, for logs and run records. */
  String device();

  /** Most tokens in one prefill pass. */
  int tokenCapacity();

  /**
   * What a prefill pass takes beyond what its tokens add to it, in parts of what a decode step takes beyond
   * what its sequences add: a function of the model alone, so that runs repeat. 0 where prompts prefilled one
   * by one take as long as together.
   *
   * @param tokens of a prompt in the pass
   */
  default double passOverhead(int tokens) {
    return 0;
  }

  /** Most steps of one {@link #decode}: a function of the model alone, so that runs repeat. */
  int stepsPerCall();

  /**
   * Sets room in the cache aside for a sequence; a slot whose sequence ended is {@link #release}d
   * first.
   *
   * @param positions most that it will take, prompt and answer
   * @return whether there was room
   */
  boolean reserve(int slot, int positions);

  /** Gives a slot's room back. */
  void release(int slot);

  /**
   * Copies keys and values that another runner of the model has prefilled.
   *
   * @param positions of the slot, which is the same in both
   * @return false where a runner cannot, and must prefill itself
   */
  default boolean adopt(ModelRunner other, int slot, int positions) {
    return false;
  }

  /**
   * Dense pass over prompt tokens; tokens of a sequence come in order, possibly over several passes.
   *
   * @return [logitRows] the sampled token after each wanted one, in the order they were added
   */
  int[] prefill(TokenBatch batch);

  /**
   * Decode steps with the plan's sparsity, at least one and at most {@link #stepsPerCall}, until all
   * sequences ended. A sequence that ends drops out of the steps that follow. Where the step of a call was
   * launched before the call, sequences that are new to it get no token yet.
   *
   * @param sequences running ones; the next step's tokens are the last ones sampled
   * @param counters receives what the steps called and loaded
   */
  List<DecodeStep> decode(List<DecodeSequence> sequences, SparsityCounters counters);

  /**
   * Logits of the last pass or step of a greedy runner, [rows x vocabulary]: of the wanted tokens in
   * the order they were added, or of the sequences.
   */
  float[] logits();

  @Override
  void close();
}
