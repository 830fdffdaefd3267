package io.rollcall.kernels.cpu;

import io.rollcall.kernels.Activation;
import io.rollcall.kernels.AttentionShape;
import io.rollcall.kernels.RowIndex;
import java.util.Arrays;

/** Plain Java, written to be obviously right: the reference, and what runs without the Vector API. */
final class PlainPrimitives implements Primitives {

  @Override
  public String description() {
    return "plain Java";
  }

  @Override
  public void matmul(Product product, int from, int to, Scratch scratch) {
    int k = product.w().columns();
    int stride = product.w().paddedColumns();
    float[] row = scratch.row.atLeast(k);
    for (int j = from; j < to; j++) {
      product.w().row(product.row(j), row, 0);
      for (int b = 0; b < product.batch(); b++) {
        product.y()[b * product.count() + j] = dot(row, 0, product.x(), b * stride, k);
      }
    }
  }

  private static float dot(float[] a, int aOffset, float[] b, int bOffset, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
      sum += (double) a[aOffset + i] * b[bOffset + i];
    }
    return (float) sum;
  }

  @Override
  public void sumRows(Product product, int from, int to, Scratch scratch) {
    int width = product.w().columns();
    float[] row = scratch.row.atLeast(width);
    float[] y = product.y();
    for (int b = 0; b < product.batch(); b++) {
      Arrays.fill(y, b * width + from, b * width + to, 0);
    }
    for (int i = 0; i < product.count(); i++) {
      product.w().row(product.row(i), row, 0);
      for (int b = 0; b < product.batch(); b++) {
        float coefficient = product.x()[b * product.count() + i];
        for (int c = from; coefficient != 0 && c < to; c++) {
          y[b * width + c] += coefficient * row[c];
        }
      }
    }
  }

  @Override
  public void attention(AttentionCall call, int from, int to, Scratch scratch) {
    AttentionShape shape = call.shape();
    int size = shape.headSize();
    float scale = (float) (1 / Math.sqrt(size));
    for (int item = from; item < to; item++) {
      int token = item % call.tokens();
      int cache = call.cacheOffset(token, item / call.tokens());
      int length = call.positions()[token] + 1;
      float[] scores = scratch.scores.atLeast(length);
      for (int g = 0; g < shape.groupSize(); g++) {
        int at = call.queryOffset(token, item / call.tokens()) + g * size;
        for (int p = 0; p < length; p++) {
          scores[p] = scale * dot(call.q(), at, call.keys(), cache + p * size, size);
        }
        softmax(scores, 0, length);
        for (int i = 0; i < size; i++) {
          double sum = 0;
          for (int p = 0; p < length; p++) {
            sum += (double) scores[p] * call.values()[cache + p * size + i];
          }
          call.out()[at + i] = (float) sum;
        }
      }
    }
  }

  @Override
  public void softmax(float[] x, int from, int to) {
    float largest = Float.NEGATIVE_INFINITY;
    for (int i = from; i < to; i++) {
      largest = Math.max(largest, x[i]);
    }
    double sum = 0;
    for (int i = from; i < to; i++) {
      x[i] = Exponential.exp(x[i] - largest);
      sum += x[i];
    }
    for (int i = from; i < to; i++) {
      x[i] = (float) (x[i] / sum);
    }
  }

  @Override
  public void rmsNorm(
      float[] x, int from, int to, float[] weight, float epsilon, float[] y, int width) {
    for (int row = from; row < to; row++) {
      int at = row * width;
      double squares = 0;
      for (int i = 0; i < width; i++) {
        squares += (double) x[at + i] * x[at + i];
      }
      float factor = (float) (1 / Math.sqrt(squares / width + epsilon));
      for (int i = 0; i < width; i++) {
        y[at + i] = x[at + i] * factor * weight[i];
      }
    }
  }

  @Override
  public void add(float[] x, float[] y, int from, int to) {
    for (int i = from; i < to; i++) {
      x[i] += y[i];
    }
  }

  @Override
  public void rope(float[] x, int at, int half, float[] cos, float[] sin, int angle) {
    for (int i = 0; i < half; i++) {
      float a = x[at + i];
      float b = x[at + half + i];
      x[at + i] = a * cos[angle + i] - b * sin[angle + i];
      x[at + half + i] = b * cos[angle + i] + a * sin[angle + i];
    }
  }

  @Override
  public void activate(Activation activation, float[] x, int from, int to) {
    for (int i = from; i < to; i++) {
      x[i] = activate(activation, x[i]);
    }
  }

  @Override
  public void activateAndMultiply(
      Activation activation, float[] gate, float[] up, int from, int to) {
    for (int i = from; i < to; i++) {
      gate[i] = activate(activation, gate[i]) * up[i];
    }
  }

  static float activate(Activation activation, float x) {
    switch (activation) {
      case SILU:
        return Exponential.silu(x);
      case GELU_TANH:
        return Exponential.geluTanh(x);
      case RELU:
        return Math.max(x, 0f);
      default:
        throw new IllegalArgumentException("no activation " + activation);
    }
  }

  @Override
  public void union(
      Scores scores, float threshold, RowIndex union, int[] called, Scratch scratch) {
    union.clear();
    Arrays.fill(called, 0, scores.batch(), 0);
    for (int i = 0; i < scores.width(); i++) {
      boolean any = false;
      for (int b = 0; b < scores.batch(); b++) {
        if (scores.magnitude(b, i) > threshold) {
          called[b]++;
          any = true;
        }
      }
      if (any) {
        union.append(i);
      }
    }
  }

  @Override
  public void batchEnergy(Scores scores, float[] energy) {
    Arrays.fill(energy, 0, scores.width(), 0);
    for (int b = 0; b < scores.batch(); b++) {
      double total = 0;
      for (int i = 0; i < scores.width(); i++) {
        total += (double) scores.magnitude(b, i) * scores.magnitude(b, i);
      }
      for (int i = 0; total > 0 && i < scores.width(); i++) {
        energy[i] += (float) ((double) scores.magnitude(b, i) * scores.magnitude(b, i) / total);
      }
    }
  }
}
