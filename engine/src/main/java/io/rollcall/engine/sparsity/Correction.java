package io.rollcall.engine.sparsity;

import io.rollcall.kernels.WeightMatrix;
import java.io.Serializable;

/**
 * What one layer's sparse output is corrected by, y' = y + c + U (V x), with x the layer's input.
 * Elements are bf16 bits.
 *
 * @param rank r; 0 for c alone
 * @param bias c, [bucket x d]; the last one serves every larger bucket
 * @param down V [r x d]
 * @param up U [d x r]
 */
public record Correction(int rank, short[][] bias, short[] down, short[] up)
    implements Serializable {

  /** None at all: c is zero. */
  public static Correction none(int hidden) {
    return new Correction(0, new short[1][hidden], new short[0], new short[0]);
  }

  /** The same with one bucket's c for all. */
  Correction only(int bucket) {
    return new Correction(
        rank, new short[][] {bias[Math.min(bucket, bias.length - 1)]}, down, up);
  }

  public int hidden() {
    return bias[0].length;
  }

  /** V for kernels on the heap. */
  public WeightMatrix downMatrix() {
    return ProfileTensors.matrix(rank, hidden(), down);
  }

  /** U for kernels on the heap. */
  public WeightMatrix upMatrix() {
    return ProfileTensors.matrix(hidden(), rank, up);
  }

  /** c of a bucket, [d]. */
  public float[] bias(int bucket) {
    short[] bits = bias[Math.min(bucket, bias.length - 1)];
    float[] values = new float[bits.length];
    for (int i = 0; i < bits.length; i++) {
      values[i] = Bf16.value(bits[i]);
    }
    return values;
  }

  /** Elements of all buckets. */
  public long parameters() {
    return parameters(rank, hidden(), bias.length);
  }

  /** (2r + buckets) d. */
  public static long parameters(int rank, int hidden, int buckets) {
    return (2L * rank + buckets) * hidden;
  }
}
