package io.rollcall.engine.generation;

import io.rollcall.engine.model.Model;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.statistics.LayerStatistics;
import io.rollcall.engine.text.PromptTemplate;
import java.util.Iterator;
import java.util.List;

/**
 * Answers a stream of prompts by continuous batching; generations come out in the order they end.
 * One generator belongs to one task; the model may be shared.
 */
public final class Generator implements Iterator<Generation>, AutoCloseable {

  /** @param workers threads this generator may use, the caller's included */
  public Generator(
      Model model,
      SparsityPlan plan,
      PromptTemplate template,
      GenerationOptions options,
      int workers,
      Iterator<Prompt> prompts) {
    throw new UnsupportedOperationException();
  }

  @Override
  public boolean hasNext() {
    throw new UnsupportedOperationException();
  }

  @Override
  public Generation next() {
    throw new UnsupportedOperationException();
  }

  /** Statistics of all decode steps so far, by layer and batch size. */
  public List<LayerStatistics> statistics() {
    throw new UnsupportedOperationException();
  }

  /** Work and time so far. */
  public PhaseTimes times() {
    throw new UnsupportedOperationException();
  }

  /** Mean union density of all decode steps and layers so far; NaN before the first. */
  public double meanUnionDensity() {
    throw new UnsupportedOperationException();
  }

  /** Ends the worker threads and frees the cache. */
  @Override
  public void close() {}
}
