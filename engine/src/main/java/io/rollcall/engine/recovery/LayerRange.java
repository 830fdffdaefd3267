package io.rollcall.engine.recovery;

import java.io.Serializable;

/**
 * Consecutive layers.
 *
 * @param end exclusive
 */
public record LayerRange(int first, int end) implements Serializable {

  public boolean contains(int layer) {
    return layer >= first && layer < end;
  }

  public int count() {
    return end - first;
  }
}
