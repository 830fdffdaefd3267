package io.rollcall.engine.recovery;

import io.rollcall.engine.algebra.Products;

/** Adds positions to moments many at a time, as matrix products. */
final class MomentBuffer {
  private static final int ROWS = 256;

  private final ErrorMoments moments;
  private final Products products;
  private final int hidden;
  private final float[] inputs;
  private final float[] errors;
  private int rows;

  MomentBuffer(ErrorMoments moments, Products products) {
    this.moments = moments;
    this.products = products;
    hidden = moments.hidden();
    int size = moments.hasProducts() ? ROWS * hidden : 0;
    inputs = new float[size];
    errors = new float[size];
  }

  /** Adds the position at an offset of x and e. */
  void add(int bucket, double weight, float[] x, float[] e, int offset) {
    moments.add(bucket, weight, x, e, offset);
    if (moments.hasProducts()) {
      float scale = (float) Math.sqrt(weight);
      for (int i = 0; i < hidden; i++) {
        inputs[rows * hidden + i] = scale * x[offset + i];
        errors[rows * hidden + i] = scale * e[offset + i];
      }
      if (++rows == ROWS) {
        flush();
      }
    }
  }

  void flush() {
    if (rows == 0) {
      return;
    }
    float[] gram = new float[hidden * hidden];
    float[] cross = new float[hidden * hidden];
    products.columnsByColumns(inputs, inputs, rows, hidden, hidden, gram);
    products.columnsByColumns(inputs, errors, rows, hidden, hidden, cross);
    moments.addProducts(gram, cross);
    rows = 0;
  }
}
