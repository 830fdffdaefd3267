package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/**
 * Adds up the lanes of L vectors of L lanes at once, by a transposing tree: each level halves the
 * vectors and adds lane l to lane l ^ h, for h = L/2, …, 2, 1. Every sum is made by the same tree
 * whichever vector it comes from (addition commutes to the bit). reduceLanes is not used: its order
 * is unspecified, and a slow sequence on JDK 17.
 *
 * <p>A level is a loop over memory in a method of its own: the whole tree in one method is more than
 * JDK 17's compiler inlines.
 */
final class LaneSums {
  private static final int L = Lanes.COUNT;
  private static final VectorMask<Float> UPPER8 = upper(8);
  private static final VectorMask<Float> UPPER4 = upper(4);
  private static final VectorMask<Float> UPPER2 = upper(2);
  private static final VectorMask<Float> UPPER1 = upper(1);
  private static final VectorShuffle<Float> SWAP8 = swap(8);
  private static final VectorShuffle<Float> SWAP4 = swap(4);
  private static final VectorShuffle<Float> SWAP2 = swap(2);
  private static final VectorShuffle<Float> SWAP1 = swap(1);

  private LaneSums() {}

  private static VectorMask<Float> upper(int half) {
    boolean[] lanes = new boolean[L];
    for (int i = 0; i < L; i++) {
      lanes[i] = (i & half) != 0;
    }
    return VectorMask.fromArray(Lanes.FLOATS, lanes, 0);
  }

  private static VectorShuffle<Float> swap(int half) {
    return VectorShuffle.fromOp(Lanes.FLOATS, i -> (i ^ half) % L);
  }

  /** From {@code vectors} (a multiple of L) at the front of s to their sums at the front of s. */
  static void add(float[] s, int vectors) {
    if (L >= 16) {
      level8(s, vectors / (L / 8));
    }
    if (L >= 8) {
      level4(s, vectors / (L / 4));
    }
    level2(s, vectors / (L / 2));
    level1(s, vectors / L);
  }

  // Result v of a level is made of vectors i and i + h, where i counts up and skips every second h.

  private static void level8(float[] s, int results) {
    for (int v = 0; v < results; v++) {
      int i = v + (v & -8);
      FloatVector a = Lanes.load(s, i * L);
      FloatVector b = Lanes.load(s, (i + 8) * L);
      a.blend(b, UPPER8).add(b.blend(a, UPPER8).rearrange(SWAP8)).intoArray(s, v * L);
    }
  }

  private static void level4(float[] s, int results) {
    for (int v = 0; v < results; v++) {
      int i = v + (v & -4);
      FloatVector a = Lanes.load(s, i * L);
      FloatVector b = Lanes.load(s, (i + 4) * L);
      a.blend(b, UPPER4).add(b.blend(a, UPPER4).rearrange(SWAP4)).intoArray(s, v * L);
    }
  }

  private static void level2(float[] s, int results) {
    for (int v = 0; v < results; v++) {
      int i = v + (v & -2);
      FloatVector a = Lanes.load(s, i * L);
      FloatVector b = Lanes.load(s, (i + 2) * L);
      a.blend(b, UPPER2).add(b.blend(a, UPPER2).rearrange(SWAP2)).intoArray(s, v * L);
    }
  }

  private static void level1(float[] s, int results) {
    for (int v = 0; v < results; v++) {
      FloatVector a = Lanes.load(s, 2 * v * L);
      FloatVector b = Lanes.load(s, (2 * v + 1) * L);
      a.blend(b, UPPER1).add(b.blend(a, UPPER1).rearrange(SWAP1)).intoArray(s, v * L);
    }
  }
}
