package io.rollcall.engine.sparsity;

import io.rollcall.engine.UserException;
import java.io.Serializable;

/** Which feed-forward rows a batch loads in a step, and who uses them. */
public sealed interface UnionStrategy extends Serializable {

  /** Load the union; each sequence uses only the rows it called. */
  record Own() implements UnionStrategy {
    @Override
    public String toString() {
      return "own";
    }
  }

  /** Load the union; every sequence uses every loaded row. */
  record Shared() implements UnionStrategy {
    @Override
    public String toString() {
      return "shared";
    }
  }

  /**
   * Load at most {@code fraction * f} of the called rows, those with the largest batch energy; every
   * sequence uses every loaded row.
   */
  record Budget(double fraction) implements UnionStrategy {
    public Budget {
      if (!(fraction > 0 && fraction <= 1)) {
        throw new UserException(
            "union budget:" + fraction + " is outside (0, 1]; give the fraction of rows to load");
      }
    }

    @Override
    public String toString() {
      return "budget:" + fraction;
    }
  }

  /** Parses {@code own}, {@code shared} or {@code budget:<fraction>}. */
  static UnionStrategy parse(String name) {
    if (name.equals("own")) {
      return new Own();
    }
    if (name.equals("shared")) {
      return new Shared();
    }
    if (name.startsWith("budget:")) {
      try {
        return new Budget(Double.parseDouble(name.substring("budget:".length())));
      } catch (NumberFormatException e) {
        throw new UserException("union '" + name + "' has no number after budget:", e);
      }
    }
    throw new UserException(
        "unknown union '" + name + "'; use own, shared or budget:<fraction>");
  }
}
