package io.rollcall.engine.runner;

/** Sees the feed-forward layers of decode steps from within. Only the CPU shows them. */
@FunctionalInterface
public interface LayerObserver {

  /** A layer has run; its output is not yet added to the residual stream. */
  void observe(ObservedLayer layer);
}
