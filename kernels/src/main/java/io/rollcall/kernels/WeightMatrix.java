package io.rollcall.kernels;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;

/**
 * An immutable matrix of weights [rows x columns], each row contiguous, held as stored (bf16, f16,
 * f32) or quantised (int8, int4).
 */
public final class WeightMatrix {
  private static final int MAX_ARRAY = Integer.MAX_VALUE - 8;
  /** Rows transposed together: one cache line of 16-bit elements, and then some. */
  private static final int TRANSPOSED_ROWS = 64;

  private final WeightType type;
  private final int rows;
  private final int columns;
  private final int paddedColumns;
  private final int[] packed;
  private final float[] floats;

  private WeightMatrix(WeightType type, int rows, int columns) {
    this.type = type;
    this.rows = rows;
    this.columns = columns;
    this.paddedColumns = PackedRows.padded(columns);
    boolean f32 = type == WeightType.F32;
    packed = new int[f32 ? 0 : length((long) rows * wordsPerRow())];
    floats =
        new float
            [f32
                ? length((long) rows * paddedColumns)
                : type.quantised() ? length((long) rows * scalesPerRow()) : 0];
  }

  /**
   * Takes over a checkpoint's tensor, bits unchanged.
   *
   * @param type F32, F16 or BF16
   * @param data little-endian elements [rows x columns], row-major, from position 0
   */
  public static WeightMatrix of(WeightType type, int rows, int columns, ByteBuffer data) {
    ByteBuffer source = checked(type, rows, columns, data);
    WeightMatrix matrix = new WeightMatrix(type, rows, columns);
    if (type == WeightType.F32) {
      FloatBuffer elements = source.asFloatBuffer();
      for (int r = 0; r < rows; r++) {
        elements.get(r * columns, matrix.floats, r * matrix.paddedColumns, columns);
      }
    } else {
      ShortBuffer elements = source.asShortBuffer();
      short[] row = new short[matrix.paddedColumns];
      for (int r = 0; r < rows; r++) {
        elements.get(r * columns, row, 0, columns);
        PackedRows.packHalves(row, matrix.packed, r * matrix.wordsPerRow());
      }
    }
    return matrix;
  }

  /** The same from a tensor stored [columns x rows]: element (r, c) is data's (c, r). */
  public static WeightMatrix ofTransposed(
      WeightType type, int rows, int columns, ByteBuffer data) {
    ByteBuffer source = checked(type, rows, columns, data);
    WeightMatrix matrix = new WeightMatrix(type, rows, columns);
    for (int from = 0; from < rows; from += TRANSPOSED_ROWS) {
      int to = Math.min(rows, from + TRANSPOSED_ROWS);
      if (type == WeightType.F32) {
        matrix.transposeFloats(source.asFloatBuffer(), from, to);
      } else {
        matrix.transposeHalves(source.asShortBuffer(), from, to);
      }
    }
    return matrix;
  }

  private void transposeFloats(FloatBuffer source, int from, int to) {
    float[] strip = new float[to - from];
    for (int c = 0; c < columns; c++) {
      source.get(c * rows + from, strip);
      for (int r = from; r < to; r++) {
        floats[r * paddedColumns + c] = strip[r - from];
      }
    }
  }

  private void transposeHalves(ShortBuffer source, int from, int to) {
    short[] strip = new short[to - from];
    short[][] block = new short[to - from][paddedColumns];
    for (int c = 0; c < columns; c++) {
      source.get(c * rows + from, strip);
      for (int r = 0; r < strip.length; r++) {
        block[r][c] = strip[r];
      }
    }
    for (int r = from; r < to; r++) {
      PackedRows.packHalves(block[r - from], packed, r * wordsPerRow());
    }
  }

  private static ByteBuffer checked(WeightType type, int rows, int columns, ByteBuffer data) {
    if (type.quantised()) {
      throw new IllegalArgumentException(
          "a checkpoint's tensor cannot be " + type + "; take it over as stored, then quantise");
    }
    if (rows < 0 || columns < 0) {
      throw new IllegalArgumentException("negative shape " + rows + " x " + columns);
    }
    long needed = rows * type.bytes(columns);
    if (data.limit() < needed) {
      throw new IllegalArgumentException(
          type + " matrix " + rows + " x " + columns + " takes " + needed + " bytes, but the data has "
              + data.limit());
    }
    return data.duplicate().position(0).order(ByteOrder.LITTLE_ENDIAN);
  }

  private int length(long elements) {
    if (elements > MAX_ARRAY) {
      throw new IllegalArgumentException(
          type + " matrix " + rows + " x " + columns + " is too large: it needs an array of "
              + elements + " elements, and Java's hold at most " + MAX_ARRAY);
    }
    return (int) elements;
  }

  /**
   * Symmetric quantisation in groups of 32 along a row: scale = max(abs) / 127 (INT8) or / 7 (INT4),
   * rounded to f16, and q = the integer nearest to w / scale, ties to even. A group of zeros has scale
   * 0. The tail group of a row may be shorter.
   *
   * @param type INT8 or INT4
   */
  public WeightMatrix quantise(WeightType type) {
    if (!type.quantised() || this.type.quantised()) {
      throw new IllegalArgumentException("cannot quantise " + this.type + " to " + type);
    }
    WeightMatrix matrix = new WeightMatrix(type, rows, columns);
    float[] row = new float[paddedColumns];
    for (int r = 0; r < rows; r++) {
      row(r, row, 0);
      PackedRows.quantise(
          type, row, matrix.packed, r * matrix.wordsPerRow(), matrix.floats,
          r * matrix.scalesPerRow());
    }
    return matrix;
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
    if (column < 0 || column >= columns) {
      throw new IndexOutOfBoundsException("column " + column + " of " + columns);
    }
    return element(row, column);
  }

  private float element(int row, int column) {
    switch (type) {
      case F32:
        return floats[row * paddedColumns + column];
      case F16:
        return Float16.toFloat(PackedRows.half(packed, row * wordsPerRow(), column));
      case BF16:
        return Float.intBitsToFloat(
            PackedRows.half(packed, row * wordsPerRow(), column) << 16);
      default:
        return PackedRows.quantised(type, packed, row * wordsPerRow(), column)
            * floats[row * scalesPerRow() + column / WeightType.GROUP];
    }
  }

  /** Copies one row in f32 to {@code out} from {@code offset}: the embedding look-up. */
  public void row(int row, float[] out, int offset) {
    if (type == WeightType.F32) {
      System.arraycopy(floats, row * paddedColumns, out, offset, columns);
      return;
    }
    for (int c = 0; c < columns; c++) {
      out[offset + c] = element(row, c);
    }
  }

  /** Euclidean norm of each row, in f32: [rows]. */
  public float[] rowNorms() {
    float[] norms = new float[rows];
    float[] row = new float[columns];
    for (int r = 0; r < rows; r++) {
      row(r, row, 0);
      double squares = 0;
      for (float value : row) {
        squares += (double) value * value;
      }
      norms[r] = (float) Math.sqrt(squares);
    }
    return norms;
  }

  /** Columns with the zeros that pad each row to a multiple of 64. For kernels. */
  public int paddedColumns() {
    return paddedColumns;
  }

  /**
   * The packed elements of all types but F32, as the module's README lays them out; empty for F32.
   * Not to be written. For kernels.
   */
  public int[] packed() {
    return packed;
  }

  /**
   * F32: the elements [rows x paddedColumns]. INT8, INT4: the scales [rows x paddedColumns / 32]. Else
   * empty. Not to be written. For kernels.
   */
  public float[] floats() {
    return floats;
  }

  /** Ints of {@link #packed()} in a row. For kernels. */
  public int wordsPerRow() {
    return PackedRows.words(type, paddedColumns);
  }

  /** Scales in a quantised row. For kernels. */
  public int scalesPerRow() {
    return paddedColumns / WeightType.GROUP;
  }
}
