package io.rollcall.kernels.cpu;

import io.rollcall.kernels.RowIndex;

/**
 * Between wide activations, one a neuron, and compact ones, one a loaded row. Plain loops serve both
 * providers: hardware gathers read one element at a time too.
 */
final class Gathering {
  private Gathering() {}

  /** @param at where sequence b begins in wide */
  static void copy(float[] wide, int at, RowIndex rows, float[] compact, int b) {
    int[] index = rows.array();
    int count = rows.count();
    int to = b * count;
    for (int j = 0; j < count; j++) {
      compact[to + j] = wide[at + index[j]];
    }
  }

  static void multiply(float[] wide, int at, RowIndex rows, float[] compact, int b) {
    int[] index = rows.array();
    int count = rows.count();
    int to = b * count;
    for (int j = 0; j < count; j++) {
      compact[to + j] *= wide[at + index[j]];
    }
  }

  static void drop(Scores scores, int b, float threshold, RowIndex rows, float[] compact) {
    int[] index = rows.array();
    int count = rows.count();
    int to = b * count;
    for (int j = 0; j < count; j++) {
      compact[to + j] = scores.magnitude(b, index[j]) > threshold ? compact[to + j] : 0f;
    }
  }
}
