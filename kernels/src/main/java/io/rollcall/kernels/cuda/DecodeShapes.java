package io.rollcall.kernels.cuda;

import io.rollcall.kernels.WeightType;

/**
 * Launch shapes of the decode products: the constants of row_tile.cuh, row_stream.cuh,
 * held_predicted.cu, sum_rows.cu, sum_stream.cu and wide_sum.cu.
 */
final class DecodeShapes {
  static final int ROW_THREADS = 128;
  static final int COLUMN_THREADS = 256;
  static final int SUM_STREAM_THREADS = 320;
  static final int WIDE_SUM_THREADS = 384;
  static final int LEAST_WIDE_SUM_STAGES = 2;
  static final int MOST_WIDE_SUM_STAGES = 12;
  /** Columns of a sum_rows, sum_stream or wide_sum block. */
  static final int SUM_COLUMNS = 256;
  /** Largest batch tile whose activations a block holds, and of sum_stream. */
  static final int MOST_HELD = 16;
  /** Rows of a tile of a product with held activations. */
  static final int HELD_ROWS = 16;
  static final int HELD_THREADS = 512;
  static final int MOST_INTERMEDIATE = 32768;
  static final int MOST_SPLITS = 16;
  /** Rows of a block of sum_rows, sum_stream or wide_sum. */
  static final int MOST_LISTED = 5120;

  private static final int RING_BYTES = 65536;
  private static final int MOST_RING_BYTES = 88 << 10;

  private DecodeShapes() {}

  /** The batch tile, 8 to 64, that holds so many sequences. */
  static int tile(int batch) {
    if (batch < 1 || batch > StepState.MAX_BATCH) {
      throw new IllegalArgumentException(
          "a decode step of " + batch + " sequences; the device takes 1 to " + StepState.MAX_BATCH);
    }
    return batch <= 8 ? 8 : Integer.highestOneBit(batch - 1) << 1;
  }

  /** Whether a block may have so much dynamic shared memory, beside the little that is static. */
  static boolean fits(CudaDevice device, int shared) {
    return shared <= device.sharedBytesPerBlock() - 512;
  }

  /** Weight rows of a block of a row product. */
  static int rows(WeightType type, int tile) {
    return tile >= 32 && tile * stepColumns(type) < 64 * 256 ? 128 : 64;
  }

  /** Columns of a 128-byte step of a row. */
  static int stepColumns(WeightType type) {
    return 1024 / bits(type);
  }

  /** Bytes of the scales of such a step. */
  static int stepScaleBytes(WeightType type) {
    return type.quantised() ? stepColumns(type) / 32 * 2 : 0;
  }

  static int steps(DeviceMatrix matrix) {
    return ceil(matrix.columns(), stepColumns(matrix.type()));
  }

  /** Dynamic shared memory of a row product's block. */
  static int rowRingBytes(WeightType type, int tile) {
    int stage = rows(type, tile) * (128 + stepScaleBytes(type)) + tile * stepColumns(type) * 2;
    int stages = Math.min(8, RING_BYTES / stage);
    return stage * (stages >= 4 ? stages : Math.min(4, MOST_RING_BYTES / stage));
  }

  /** Dynamic shared memory of a sum_rows block that has so many rows. */
  static int columnRingBytes(WeightType type, int tile, int rows) {
    int ranks = 8192 / (SUM_COLUMNS * bits(type) / 8);
    int stage = 8192 + ranks * tile * 2 + (type.quantised() ? ranks * 16 : 0);
    return stage * Math.max(4, Math.min(7, RING_BYTES / stage)) + 4 * (ceil(rows, 32) * 32);
  }

  /** Dynamic shared memory of a sum_stream block that has so many rows. */
  static int sumStreamBytes(WeightType type, int tile, int rows) {
    int rowBytes = SUM_COLUMNS * bits(type) / 8;
    int ranks = 16384 / rowBytes;
    int sPitch = tile == 8 ? 16 : 48;
    int stage = ranks * (rowBytes + 16 + sPitch + (type.quantised() ? 16 : 0));
    return stage * Math.min(8, (96 << 10) / stage) + 4 * (ceil(rows, ranks) * ranks);
  }

  /** Dynamic shared memory of a wide_sum block that has so many rows, but for its ring. */
  static int wideSumBytes(int rows) {
    return 2 * 8 * MOST_WIDE_SUM_STAGES + 4 * (ceil(rows, 64) * 64);
  }

  /** Of a stage of its ring. */
  static int wideSumStageBytes(WeightType type, int tile) {
    int ranks = type.quantised() ? 64 : 32;
    int row = SUM_COLUMNS * bits(type) / 8 + 16 + (type.quantised() ? 16 : 0) + 2 * tile;
    return ceil(ranks * row, 1024) * 1024;
  }

  /** Dynamic shared memory of a block with held activations, before them. */
  static int heldRingBytes(WeightType type, int tile) {
    int stages = tile == 8 ? (type.quantised() ? 4 : 7) : (type.quantised() ? 2 : 4);
    return stages * heldStageBytes(type) + 128 + heldSumsBytes(tile);
  }

  /** The last of them: sums of its warps, of two tiles. */
  static int heldSumsBytes(int tile) {
    return 2 * 8 * HELD_ROWS * tile * 4;
  }

  /** Of a stage of its ring. */
  static int heldStageBytes(WeightType type) {
    int rowBytes = type.quantised() ? 2048 : 1024;
    int scales = type.quantised() ? rowBytes / 2 / bits(type) + 16 : 0;
    return HELD_ROWS * (rowBytes + 16 + scales);
  }

  /** Shared memory of held activations of so many columns. */
  static int heldBytes(int tile, int columns) {
    return tile * 2 * columns;
  }

  /** Of held_union, for so many tiles of a block: their barriers, scores, counts and list. */
  static int heldListBytes(int tile, int tiles) {
    return tiles * (8 + HELD_ROWS * (4 * tile + 2) + 4);
  }

  /**
   * Dynamic shared memory of held_predicted.
   *
   * @param tiles of a block, two units each
   */
  static int heldPredictedBytes(WeightType type, int tile, int hidden, int rank, int tiles) {
    int sums = heldSumsBytes(tile);
    int unit = 8 + 4 + 2 * 8 + 2 * 8;
    return heldRingBytes(type, tile)
        - sums
        + Math.max(sums, heldBytes(tile, rank + 8))
        + heldBytes(tile, hidden + 8)
        + 2 * tiles * unit;
  }

  /** A unit of held_predicted in the ring: eight rows of a factor, and of its fold. */
  static int unitBytes(WeightType type, int rank, boolean folded) {
    int row = rank * bits(type) / 8 + (type.quantised() ? rank / 16 : 0);
    return 8 * row * (folded ? 2 : 1);
  }

  /** Whether rows of so many columns can be copied in runs of 16 bytes, scales too. */
  static boolean bulkCopied(WeightType type, int columns) {
    return !type.quantised() || columns % 256 == 0;
  }

  static String kernel(String name, WeightType type, int tile) {
    return name
        + switch (type) {
          case F16 -> "_f16_n";
          case INT8 -> "_int8_n";
          case INT4 -> "_int4_n";
          default -> throw new IllegalArgumentException("no device kernels for " + type);
        }
        + tile;
  }

  static int ceil(int value, int by) {
    return (value + by - 1) / by;
  }

  private static int bits(WeightType type) {
    return switch (type) {
      case F16 -> 16;
      case INT8 -> 8;
      case INT4 -> 4;
      default -> throw new IllegalArgumentException("no device kernels for " + type);
    };
  }
}
