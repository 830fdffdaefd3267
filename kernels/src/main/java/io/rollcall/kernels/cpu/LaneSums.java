package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * Adds up the lanes of many vectors by one fixed tree: lane l and l + L/2, then l and l + L/4, down to
 * one. Neither reduceLanes (its order is unspecified, and it is a slow sequence on JDK 17) nor
 * blends and shuffles in registers (JDK 17 checks and converts mask and shuffle at each use, three
 * times slower here): the parts of a vector are loaded again as vectors of 4 lanes.
 */
final class LaneSums {
  private static final VectorSpecies<Float> FOUR = FloatVector.SPECIES_128;
  private static final int L = Lanes.COUNT;

  private LaneSums() {}

  /** From {@code vectors} of L lanes at the front of s to their sums at the front of s. */
  static void add(float[] s, int vectors) {
    if (L == 16) {
      sixteenToFour(s, vectors);
    } else if (L == 8) {
      eightToFour(s, vectors);
    }
    fourToOne(s, vectors);
  }

  private static void sixteenToFour(float[] s, int vectors) {
    for (int v = 0; v < vectors; v++) {
      FloatVector even = four(s, 16 * v).add(four(s, 16 * v + 8));
      FloatVector odd = four(s, 16 * v + 4).add(four(s, 16 * v + 12));
      even.add(odd).intoArray(s, 4 * v);
    }
  }

  private static void eightToFour(float[] s, int vectors) {
    for (int v = 0; v < vectors; v++) {
      four(s, 8 * v).add(four(s, 8 * v + 4)).intoArray(s, 4 * v);
    }
  }

  private static FloatVector four(float[] s, int at) {
    return FloatVector.fromArray(FOUR, s, at);
  }

  private static void fourToOne(float[] s, int vectors) {
    for (int v = 0; v < vectors; v++) {
      s[v] = (s[4 * v] + s[4 * v + 2]) + (s[4 * v + 1] + s[4 * v + 3]);
    }
  }
}
