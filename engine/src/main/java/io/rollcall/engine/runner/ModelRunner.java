package io.rollcall.engine.runner;

/** Runs packed tokens through a model with a key/value cache of fixed slots. One owner thread. */
public interface ModelRunner extends AutoCloseable {

  /** What computes, for logs and run records. */
  String device();

  /** Most tokens in one pass. */
  int tokenCapacity();

  /** Dense pass over prompt tokens; tokens of a sequence come in order, possibly over several passes. */
  void prefill(TokenBatch batch);

  /**
   * One decode step, a token a sequence, with the plan's sparsity.
   *
   * @param record receives what the step called and loaded
   */
  void decode(TokenBatch batch, StepRecord record);

  /** Logits of the last pass, [logitRows x vocabulary], in the order the tokens were added. */
  float[] logits();

  @Override
  void close();
}
