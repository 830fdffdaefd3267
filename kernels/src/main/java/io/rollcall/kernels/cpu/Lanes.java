package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorSpecies;

/** The vectors in use: the widest that the machine prefers, up to 512 bits. */
final class Lanes {
  static final int PREFERRED_BITS = FloatVector.SPECIES_PREFERRED.vectorBitSize();
  static final VectorSpecies<Float> FLOATS =
      PREFERRED_BITS > 512 ? FloatVector.SPECIES_512 : FloatVector.SPECIES_PREFERRED;
  static final VectorSpecies<Integer> INTS =
      PREFERRED_BITS > 512 ? IntVector.SPECIES_512 : IntVector.SPECIES_PREFERRED;
  /** Lanes of a vector. */
  static final int COUNT = FLOATS.length();

  private Lanes() {}

  static FloatVector load(float[] source, int at) {
    return FloatVector.fromArray(FLOATS, source, at);
  }

  static FloatVector all(float value) {
    return FloatVector.broadcast(FLOATS, value);
  }

  /**
   * The sum of a vector's lanes, given as its array, in one fixed order, which reduceLanes does not
   * promise. A vector as the argument could end on the heap with all that led to it.
   */
  static float sum(float[] lanes) {
    float sum = 0;
    for (float lane : lanes) {
      sum += lane;
    }
    return sum;
  }
}
