package io.rollcall.kernels.cpu;

import io.rollcall.kernels.Activation;
import io.rollcall.kernels.RowIndex;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** The Vector API. Scalar tails repeat the vector's operations one for one. */
final class VectorPrimitives implements Primitives {
  private static final int L = Lanes.COUNT;

  @Override
  public String description() {
    return "Vector API, " + L * Float.SIZE + " bits";
  }

  @Override
  public void matmul(Product product, int from, int to, Scratch scratch) {
    VectorProducts.matmul(product, from, to, scratch);
  }

  @Override
  public void sumRows(Product product, int from, int to, Scratch scratch) {
    VectorProducts.sumRows(product, from, to, scratch);
  }

  @Override
  public void attention(AttentionCall call, int from, int to, Scratch scratch) {
    VectorAttention.attention(call, from, to, scratch, this);
  }

  @Override
  public void softmax(float[] x, int from, int to) {
    FloatVector largestLanes = Lanes.all(Float.NEGATIVE_INFINITY);
    int i = from;
    for (; i + L <= to; i += L) {
      largestLanes = largestLanes.max(Lanes.load(x, i));
    }
    float largest = largestLanes.reduceLanes(VectorOperators.MAX);
    for (; i < to; i++) {
      largest = Math.max(largest, x[i]);
    }
    FloatVector sumLanes = Lanes.all(0);
    for (i = from; i + L <= to; i += L) {
      FloatVector e = VectorExponential.exp(Lanes.load(x, i).sub(largest));
      e.intoArray(x, i);
      sumLanes = sumLanes.add(e);
    }
    float sum = Lanes.sum(sumLanes.toArray());
    for (; i < to; i++) {
      x[i] = Exponential.exp(x[i] - largest);
      sum += x[i];
    }
    scale(x, from, to, 1 / sum);
  }

  private static void scale(float[] x, int from, int to, float factor) {
    int i = from;
    for (; i + L <= to; i += L) {
      Lanes.load(x, i).mul(factor).intoArray(x, i);
    }
    for (; i < to; i++) {
      x[i] *= factor;
    }
  }

  @Override
  public void rmsNorm(
      float[] x, int from, int to, float[] weight, float epsilon, float[] y, int width) {
    for (int row = from; row < to; row++) {
      int at = row * width;
      float factor = (float) (1 / Math.sqrt(squares(x, at, width) / width + epsilon));
      int i = 0;
      for (; i + L <= width; i += L) {
        Lanes.load(x, at + i).mul(factor).mul(Lanes.load(weight, i)).intoArray(y, at + i);
      }
      for (; i < width; i++) {
        y[at + i] = x[at + i] * factor * weight[i];
      }
    }
  }

  private static double squares(float[] x, int at, int width) {
    FloatVector lanes = Lanes.all(0);
    int i = 0;
    for (; i + L <= width; i += L) {
      FloatVector v = Lanes.load(x, at + i);
      lanes = v.fma(v, lanes);
    }
    float sum = Lanes.sum(lanes.toArray());
    for (; i < width; i++) {
      sum = Math.fma(x[at + i], x[at + i], sum);
    }
    return sum;
  }

  @Override
  public void add(float[] x, float[] y, int from, int to) {
    int i = from;
    for (; i + L <= to; i += L) {
      Lanes.load(x, i).add(Lanes.load(y, i)).intoArray(x, i);
    }
    for (; i < to; i++) {
      x[i] += y[i];
    }
  }

  @Override
  public void rope(float[] x, int at, int half, float[] cos, float[] sin, int angle) {
    int i = 0;
    for (; i + L <= half; i += L) {
      FloatVector a = Lanes.load(x, at + i);
      FloatVector b = Lanes.load(x, at + half + i);
      FloatVector c = Lanes.load(cos, angle + i);
      FloatVector s = Lanes.load(sin, angle + i);
      a.mul(c).sub(b.mul(s)).intoArray(x, at + i);
      b.mul(c).add(a.mul(s)).intoArray(x, at + half + i);
    }
    for (; i < half; i++) {
      float a = x[at + i];
      float b = x[at + half + i];
      x[at + i] = a * cos[angle + i] - b * sin[angle + i];
      x[at + half + i] = b * cos[angle + i] + a * sin[angle + i];
    }
  }

  @Override
  public void activate(Activation activation, float[] x, int from, int to) {
    int i = from;
    for (; i + L <= to; i += L) {
      activate(activation, Lanes.load(x, i)).intoArray(x, i);
    }
    for (; i < to; i++) {
      x[i] = PlainPrimitives.activate(activation, x[i]);
    }
  }

  @Override
  public void activateAndMultiply(
      Activation activation, float[] gate, float[] up, int from, int to) {
    int i = from;
    for (; i + L <= to; i += L) {
      activate(activation, Lanes.load(gate, i)).mul(Lanes.load(up, i)).intoArray(gate, i);
    }
    for (; i < to; i++) {
      gate[i] = PlainPrimitives.activate(activation, gate[i]) * up[i];
    }
  }

  private static FloatVector activate(Activation activation, FloatVector x) {
    if (activation == Activation.SILU) {
      return VectorExponential.silu(x);
    }
    return activation == Activation.RELU ? x.max(0f) : VectorExponential.geluTanh(x);
  }

  @Override
  public void union(
      Scores scores, float threshold, RowIndex union, int[] called, Scratch scratch) {
    int width = scores.width();
    float[] marks = scratch.row.zeros(width);
    for (int b = 0; b < scores.batch(); b++) {
      called[b] = mark(scores, b, threshold, marks);
    }
    // Appending without a branch: whether a neuron is called cannot be predicted.
    int[] rows = scratch.rows(width + 1);
    int count = 0;
    for (int i = 0; i < width; i++) {
      rows[count] = i;
      count += (int) marks[i];
    }
    union.clear();
    for (int j = 0; j < count; j++) {
      union.append(rows[j]);
    }
  }

  /** Sets marks to 1 where sequence b calls; how often it does. */
  private static int mark(Scores scores, int b, float threshold, float[] marks) {
    int width = scores.width();
    int at = b * width;
    FloatVector one = Lanes.all(1);
    FloatVector counts = Lanes.all(0);
    int i = 0;
    for (; i + L <= width; i += L) {
      FloatVector hit =
          Lanes.all(0)
              .blend(one, magnitude(scores, at, i).compare(VectorOperators.GT, threshold));
      counts = counts.add(hit);
      Lanes.load(marks, i).max(hit).intoArray(marks, i);
    }
    int called = (int) Lanes.sum(counts.toArray());
    for (; i < width; i++) {
      if (scores.magnitude(b, i) > threshold) {
        called++;
        marks[i] = 1;
      }
    }
    return called;
  }

  private static FloatVector magnitude(Scores scores, int at, int i) {
    FloatVector value = Lanes.load(scores.values(), at + i).abs();
    return scores.scale() == null ? value : value.mul(Lanes.load(scores.scale(), i));
  }

  @Override
  public void batchEnergy(Scores scores, float[] energy) {
    int width = scores.width();
    Arrays.fill(energy, 0, width, 0);
    for (int b = 0; b < scores.batch(); b++) {
      addEnergy(scores, b, energy);
    }
  }

  private static void addEnergy(Scores scores, int b, float[] energy) {
    int width = scores.width();
    int at = b * width;
    FloatVector lanes = Lanes.all(0);
    int i = 0;
    for (; i + L <= width; i += L) {
      FloatVector m = magnitude(scores, at, i);
      lanes = m.fma(m, lanes);
    }
    float total = Lanes.sum(lanes.toArray());
    for (; i < width; i++) {
      float m = scores.magnitude(b, i);
      total = Math.fma(m, m, total);
    }
    if (!(total > 0)) {
      return;
    }
    for (i = 0; i + L <= width; i += L) {
      FloatVector m = magnitude(scores, at, i);
      Lanes.load(energy, i).add(m.mul(m).div(total)).intoArray(energy, i);
    }
    for (; i < width; i++) {
      float m = scores.magnitude(b, i);
      energy[i] += m * m / total;
    }
  }
}
