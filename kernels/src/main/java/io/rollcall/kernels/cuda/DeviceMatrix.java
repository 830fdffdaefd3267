package io.rollcall.kernels.cuda;

import io.rollcall.kernels.WeightType;

/**
 * A matrix of weights [rows x columns] in device memory, each row contiguous and unpadded.
 *
 * <ul>
 *   <li>F16: in order.
 *   <li>INT8: signed bytes; of each aligned 16 columns, byte b, the lowest first, of the 32-bit word t
 *       is column 2 t + 8 (b % 2) + b / 2.
 *   <li>INT4: nibbles, each its value plus 8 (1 to 15); of each aligned 32 columns, nibble n, the
 *       lowest first, of the 32-bit word t is column 2 t + 8 (n % 4) + n / 4.
 * </ul>
 *
 * So a shift and a mask give a lane of a tensor-core fragment its columns in order. Scales of the
 * quantised types are f16, [rows][columns / 32].
 *
 * @param type F16, INT8 or INT4
 * @param columns a multiple of 64
 * @param scales null for F16
 */
public record DeviceMatrix(
    WeightType type, int rows, int columns, DeviceBuffer elements, DeviceBuffer scales) {

  public DeviceMatrix {
    if (rows < 1 || columns < 64 || columns % 64 != 0) {
      throw new IllegalArgumentException(
          "a device matrix needs rows and columns that are a multiple of 64, not " + rows + " x "
              + columns);
    }
    if (type != WeightType.F16 && !type.quantised()) {
      throw new IllegalArgumentException("no device matrix of " + type);
    }
    require("elements", elements, elementBytes(type, rows, columns));
    require("scales", scales, scaleBytes(type, rows, columns));
  }

  private static void require(String what, DeviceBuffer buffer, long bytes) {
    if (bytes > 0 && (buffer == null || buffer.bytes() < bytes)) {
      throw new IllegalArgumentException(
          what + " take " + bytes + " bytes, but the buffer has "
              + (buffer == null ? 0 : buffer.bytes()));
    }
  }

  /** Bytes of the elements of such a matrix. */
  public static long elementBytes(WeightType type, int rows, int columns) {
    return type.bytes((long) rows * columns) - scaleBytes(type, rows, columns);
  }

  /** Bytes of the scales of such a matrix; 0 for F16. */
  public static long scaleBytes(WeightType type, int rows, int columns) {
    return type.quantised() ? 2L * rows * (columns / WeightType.GROUP) : 0;
  }

  /** Allocates one, its contents undefined. */
  public static DeviceMatrix allocate(
      CudaContext context, String what, WeightType type, int rows, int columns) {
    DeviceBuffer elements = context.allocate(what, elementBytes(type, rows, columns));
    try {
      long scaleBytes = scaleBytes(type, rows, columns);
      DeviceBuffer scales =
          scaleBytes == 0 ? null : context.allocate(what + " (scales)", scaleBytes);
      return new DeviceMatrix(type, rows, columns, elements, scales);
    } catch (RuntimeException thrown) {
      elements.close();
      throw thrown;
    }
  }

  /** Rows [from, from + count) of this matrix, in its memory. */
  public DeviceMatrix rowRange(int from, int count) {
    if (from < 0 || count < 1 || from + count > rows) {
      throw new IndexOutOfBoundsException(
          "rows " + from + " to " + (from + count) + " of " + rows);
    }
    return new DeviceMatrix(
        type,
        count,
        columns,
        elements.slice(elementBytes(type, from, columns), elementBytes(type, count, columns)),
        scales == null
            ? null
            : scales.slice(scaleBytes(type, from, columns), scaleBytes(type, count, columns)));
  }

  /** Bytes it takes, scales included. */
  public long bytes() {
    return type.bytes((long) rows * columns);
  }

  /** Frees both buffers; for a matrix that owns them. */
  public void free() {
    elements.close();
    if (scales != null) {
      scales.close();
    }
  }
}
