package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;

/**
 * Adds up the lanes of L vectors of L lanes at once, by a transposing tree: each level halves the
 * vectors and adds lane l to lane l ^ h, for h = L/2, …, 2, 1. Every sum is made by the same tree
 * whichever vector it comes from (addition commutes to the bit). reduceLanes is not used: its order
 * is unspecified, and a slow sequence on JDK 17.
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

  /** Lane i of the result is the sum of the vector at {@code at + i L}, i in [0, L). */
  static FloatVector add(float[] s, int at) {
    if (L == 16) {
      return add16(s, at);
    }
    return L == 8 ? add8(s, at) : add4(s, at);
  }

  private static FloatVector add16(float[] s, int at) {
    return level1(
        level2(
            level4(pair16(s, at, 0), pair16(s, at, 4)), level4(pair16(s, at, 2), pair16(s, at, 6))),
        level2(
            level4(pair16(s, at, 1), pair16(s, at, 5)),
            level4(pair16(s, at, 3), pair16(s, at, 7))));
  }

  private static FloatVector pair16(float[] s, int at, int i) {
    FloatVector a = Lanes.load(s, at + i * L);
    FloatVector b = Lanes.load(s, at + (i + 8) * L);
    return a.blend(b, UPPER8).add(b.blend(a, UPPER8).rearrange(SWAP8));
  }

  private static FloatVector add8(float[] s, int at) {
    return level1(
        level2(quad8(s, at, 0), quad8(s, at, 2)), level2(quad8(s, at, 1), quad8(s, at, 3)));
  }

  private static FloatVector quad8(float[] s, int at, int i) {
    return level4(Lanes.load(s, at + i * L), Lanes.load(s, at + (i + 4) * L));
  }

  private static FloatVector add4(float[] s, int at) {
    return level1(
        level2(Lanes.load(s, at), Lanes.load(s, at + 2 * L)),
        level2(Lanes.load(s, at + L), Lanes.load(s, at + 3 * L)));
  }

  private static FloatVector level4(FloatVector a, FloatVector b) {
    return a.blend(b, UPPER4).add(b.blend(a, UPPER4).rearrange(SWAP4));
  }

  private static FloatVector level2(FloatVector a, FloatVector b) {
    return a.blend(b, UPPER2).add(b.blend(a, UPPER2).rearrange(SWAP2));
  }

  private static FloatVector level1(FloatVector a, FloatVector b) {
    return a.blend(b, UPPER1).add(b.blend(a, UPPER1).rearrange(SWAP1));
  }
}
