package io.rollcall.kernels.cpu;

import jdk.incubator.vector.FloatVector;

/** Feeds {@link DotTiles} and {@link SumTiles}: panels of weights, tiles of the batch. */
final class VectorProducts {
  private static final int L = Lanes.COUNT;

  private VectorProducts() {}

  static void matmul(Product product, int from, int to, Scratch scratch) {
    int k = product.w().paddedColumns();
    float[] panel = scratch.panel.atLeast(DotTiles.PANEL * k);
    for (int j = from; j < to; j += DotTiles.PANEL) {
      int rows = Math.min(DotTiles.PANEL, to - j);
      for (int r = 0; r < rows; r++) {
        Unpacking.unpack(product.w(), product.row(j + r), 0, k, panel, r * k);
      }
      dots(
          panel, 0, k, rows, product.x(), 0, k, product.batch(), k, product.y(), j,
          product.count(), scratch);
    }
  }

  /**
   * y[b][r] = dot(row r of w, row b of x) for up to 16 rows. Reads, but does not use, the rows up to
   * the next multiple of 8.
   */
  static void dots(
      float[] w, int at, int stride, int rows, float[] x, int xAt, int xStride, int batch, int k,
      float[] y, int yAt, int yStride, Scratch scratch) {
    float[] sums = scratch.sums.atLeast(LaneSums.size(DotTiles.BATCH * DotTiles.PANEL));
    for (int b = 0; b < batch; ) {
      int left = batch - b;
      int tile = left >= 4 ? 4 : left >= 2 ? 2 : 1;
      int xb = xAt + b * xStride;
      if (tile == 1) {
        for (int r = 0; r < rows; r += 8) {
          DotTiles.tile8x1(w, at + r * stride, stride, x, xb, k, sums, r * L);
        }
      } else {
        for (int r = 0; r < rows; r += 4) {
          if (tile == 4) {
            DotTiles.tile4x4(w, at + r * stride, stride, x, xb, xStride, k, sums, r * L);
          } else {
            DotTiles.tile4x2(w, at + r * stride, stride, x, xb, xStride, k, sums, r * L);
          }
        }
      }
      LaneSums.add(sums, tile * DotTiles.PANEL);
      for (int i = 0; i < tile; i++, b++) {
        System.arraycopy(sums, i * DotTiles.PANEL, y, yAt + b * yStride, rows);
      }
    }
  }

  static void sumRows(Product product, int from, int to, Scratch scratch) {
    int batch = product.batch();
    int count = product.count();
    int width = (to - from + SumTiles.COLUMNS - 1) / SumTiles.COLUMNS * SumTiles.COLUMNS;
    float[] panel = scratch.panel.atLeast(SumTiles.ROWS * SumTiles.COLUMNS);
    float[] sums = scratch.sums.zeros(batch * width);
    for (int i = 0; i < count; i += SumTiles.ROWS) {
      int rows = Math.min(SumTiles.ROWS, count - i);
      for (int c = 0; c < width; c += SumTiles.COLUMNS) {
        for (int r = 0; r < rows; r++) {
          Unpacking.unpack(
              product.w(), product.row(i + r), from + c, SumTiles.COLUMNS, panel,
              r * SumTiles.COLUMNS);
        }
        addRows(
            panel, 0, SumTiles.COLUMNS, rows, product.x(), i, count, batch, sums, c, width);
      }
    }
    int columns = product.w().columns();
    for (int b = 0; b < batch; b++) {
      storeWithoutNegativeZero(sums, b * width, to - from, product.y(), b * columns + from);
    }
  }

  /** y[b] += sum_i c[b][i] w[i] over 64 columns. */
  static void addRows(
      float[] w, int at, int stride, int rows, float[] c, int cAt, int cStride, int batch,
      float[] y, int to, int yStride) {
    for (int column = 0; column < SumTiles.COLUMNS; column += SumTiles.WIDTH) {
      int wc = at + column;
      int b = 0;
      for (; b + 4 <= batch; b += 4) {
        SumTiles.tile4x4(
            w, wc, stride, rows, c, cAt + b * cStride, cStride, y, to + column + b * yStride,
            yStride);
      }
      if (b + 2 <= batch) {
        SumTiles.tile2x4(
            w, wc, stride, rows, c, cAt + b * cStride, cStride, y, to + column + b * yStride,
            yStride);
        b += 2;
      }
      if (b < batch) {
        SumTiles.tile1x4(
            w, wc, stride, rows, c, cAt + b * cStride, y, to + column + b * yStride);
      }
    }
  }

  /**
   * A product too small for f32 can leave a sum at -0, and a later zero coefficient would turn it to
   * +0; adding +0 makes both the same.
   */
  static void storeWithoutNegativeZero(float[] sums, int at, int n, float[] y, int to) {
    int i = 0;
    for (; i + L <= n; i += L) {
      Lanes.load(sums, at + i).add(0f).intoArray(y, to + i);
    }
    for (; i < n; i++) {
      y[to + i] = sums[at + i] + 0f;
    }
  }
}
