package io.rollcall.kernels.cpu;

import static io.rollcall.kernels.cpu.Exponential.*;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/** {@link Exponential} a vector at a time, operation by operation the same. */
final class VectorExponential {
  private VectorExponential() {}

  static FloatVector exp(FloatVector value) {
    FloatVector x = value.max(LOWEST).min(HIGHEST);
    FloatVector shifted = x.fma(Lanes.all(LOG2_E), Lanes.all(ROUNDER));
    FloatVector n = shifted.sub(ROUNDER);
    FloatVector r = n.fma(Lanes.all(-LN2_LOW), n.fma(Lanes.all(-LN2_HIGH), x));
    FloatVector p = r.fma(Lanes.all(C7), Lanes.all(C6));
    p = p.fma(r, Lanes.all(C5));
    p = p.fma(r, Lanes.all(C4));
    p = p.fma(r, Lanes.all(C3));
    p = p.fma(r, Lanes.all(C2));
    p = p.fma(r, Lanes.all(1f));
    p = p.fma(r, Lanes.all(1f));
    IntVector exponent = shifted.reinterpretAsInts().sub(ROUNDER_BITS);
    IntVector half = exponent.lanewise(VectorOperators.ASHR, 1);
    return p.mul(powerOfTwo(half)).mul(powerOfTwo(exponent.sub(half)));
  }

  private static FloatVector powerOfTwo(IntVector exponent) {
    return exponent.add(127).lanewise(VectorOperators.LSHL, 23).reinterpretAsFloats();
  }

  static FloatVector silu(FloatVector x) {
    return x.div(exp(x.neg()).add(1f));
  }

  static FloatVector geluTanh(FloatVector x) {
    FloatVector u = x.mul(x).mul(GELU_CUBIC).fma(x, x).mul(GELU_SCALE);
    return x.div(exp(u.neg()).add(1f));
  }
}
