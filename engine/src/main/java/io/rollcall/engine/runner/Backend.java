package io.rollcall.engine.runner;

import java.util.Locale;

/** What computes. */
public enum Backend {
  CPU,
  CUDA;

  /** The name in tables. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
