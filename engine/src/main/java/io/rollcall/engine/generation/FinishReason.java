package io.rollcall.engine.generation;

import java.util.Locale;

/** Why a generation ended. */
public enum FinishReason {
  /** The model ended it. */
  STOP,
  /** The limit of new tokens, or the context, was reached. */
  LENGTH,
  /** The prompt could not be answered; the generation's error says why. */
  ERROR;

  /** The name in tables. */
  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
