package io.rollcall.jobs.training;

import java.io.Serializable;

/**
 * Which partitions of the documents are not trained on, an eighth of them: whole documents are held
 * out, since positions of one resemble each other.
 *
 * @param partitions at least 2
 */
record HeldOutPartitions(int partitions) implements Serializable {
  private static final int EVERY = 8;

  boolean holds(int partition) {
    return partitions < EVERY ? partition == partitions - 1 : partition % EVERY == EVERY - 1;
  }

  int heldOut() {
    return partitions < EVERY ? 1 : partitions / EVERY;
  }
}
