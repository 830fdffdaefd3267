package io.rollcall.kernels;

import java.nio.ByteBuffer;

/**
 * An immutable matrix of weights [rows x columns], each row contiguous, held as stored (bf16, f16,
 * f32) or quantised (int8).
 */
public final class WeightMatrix {
  private final WeightType type;
  private final int rows;
  private final int columns;

  private WeightMatrix(WeightType type, int rows, int columns) {
    this.type = type;
    this.rows = rows;
    this.columns = columns;
  }

  /**
   * Takes over a checkpoint's tensor, bits unchanged.
   *
   * @param type F32, F16 or BF16
   * @param data little-endian elements [rows x columns], row-major, from position 0
   */
  public static WeightMatrix of(WeightType type, int rows, int columns, ByteBuffer data) {
    throw new UnsupportedOperationException();
  }

  /** The same from a tensor stored [columns x rows]: element (r, c) is data's (c, r). */
  public static WeightMatrix ofTransposed(
      WeightType type, int rows, int columns, ByteBuffer data) {
    throw new UnsupportedOperationException();
  }

  /**
   * Symmetric quantisation in groups of 32 along a row, scale = max(abs) / 127 rounded to f16; a
   * group of zeros has scale 0. The tail group of a row may be shorter.
   *
   * @param type INT8
   */
  public WeightMatrix quantise(WeightType type) {
    throw new UnsupportedOperationException();
  }

  public WeightType type() {
    return type;
  }

  public int rows() {
    return rows;
  }

  public int columns() {
    return columns;
  }

  /** Bytes at this precision, padding not counted ({@link WeightType#bytes}). */
  public long bytes() {
    return rows * type.bytes(columns);
  }

  /** One element in f32; slow. */
  public float get(int row, int column) {
    throw new UnsupportedOperationException();
  }

  /** Copies one row in f32 to {@code out} from {@code offset}: the embedding look-up. */
  public void row(int row, float[] out, int offset) {
    throw new UnsupportedOperationException();
  }

  /** Euclidean norm of each row, in f32: [rows]. */
  public float[] rowNorms() {
    throw new UnsupportedOperationException();
  }
}
