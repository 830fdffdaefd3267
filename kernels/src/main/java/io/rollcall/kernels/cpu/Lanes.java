package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
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

  /** The sum of the lanes in one fixed order, which reduceLanes does not promise. */
  static float sum(FloatVector vector) {
    float sum = 0;
    for (float lane : vector.toArray()) {
      sum += lane;
    }
    return sum;
  }

  static float largest(FloatVector vector) {
    return vector.reduceLanes(VectorOperators.MAX);
  }
}
