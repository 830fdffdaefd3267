package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Adds up the lanes of many vectors by one fixed tree: lane l and l + L/2, then l and l + L/4, down to
 * one. reduceLanes is not used: its order is unspecified, and it is a slow sequence on JDK 17, as
 * blends and shuffles in registers are. Instead a vector is loaded once more from its middle, added
 * to itself, and stored so that the next one overwrites the half that means nothing.
 *
 * <p>Vectors of 4 lanes would do the same more simply, but a second species in the JVM takes from the
 * compiler what it knows of the first: its vectors then go through the heap.
 */
final class LaneSums {
  private static final VectorSpecies<Float> S = Lanes.FLOATS;
  private static final int L = Lanes.COUNT;

  private LaneSums() {}

  /** Floats that {@link #add} needs for so many vectors. */
  static int size(int vectors) {
    return 2 * vectors * L + L;
  }

  /** From {@code vectors} of L lanes at the front of s to their sums at the front of s. */
  static void add(float[] s, int vectors) {
    int other = vectors * L;
    int from = 0;
    if (L == 16) {
      halve(s, from, 16, vectors, other);
      from = other;
    }
    if (L >= 8) {
      halve(s, from, 8, vectors, other - from);
      from = other - from;
    }
    for (int v = 0, i = from; v < vectors; v++, i += 4) {
      s[v] = (s[i] + s[i + 2]) + (s[i + 1] + s[i + 3]);
    }
  }

  private static void halve(float[] s, int from, int width, int vectors, int to) {
    int half = width / 2;
    for (int v = 0; v < vectors; v++) {
      int at = from + v * width;
      FloatVector lower = FloatVector.fromArray(S, s, at);
      lower.add(FloatVector.fromArray(S, s, at + half)).intoArray(s, to + v * half);
    }
  }
}
