package io.rollcall.kernels.cpu;

import io.rollcall.kernels.Activation;
import io.rollcall.kernels.AttentionShape;
import io.rollcall.kernels.Kernels;
import io.rollcall.kernels.RowIndex;
import io.rollcall.kernels.WeightMatrix;
import io.rollcall.kernels.WorkerPool;

/** Checks arguments and splits the work of a provider's primitives over a pool. */
final class ThreadedKernels implements Kernels {
  /** A share below this many multiply-adds takes less time than handing it over. */
  private static final long SHARE = 32_768;
  /** What one exponential counts for, in multiply-adds. */
  private static final int EXPONENTIAL = 16;
  /** Ranges of weight rows and of columns begin at multiples of these. */
  private static final int ROW_GRAIN = 16;
  private static final int COLUMN_GRAIN = 64;

  private final Primitives primitives;
  private final WorkerPool pool;
  private final ThreadLocal<Scratch> scratch = ThreadLocal.withInitial(Scratch::new);
  private final Scratch.Buffer padded = new Scratch.Buffer();

  ThreadedKernels(Primitives primitives, WorkerPool pool) {
    this.primitives = primitives;
    this.pool = pool;
  }

  @Override
  public String description() {
    return "cpu: " + primitives.description() + ", workers " + pool.workers();
  }

  /** The least multiple of {@code unit} elements whose work makes up a share. */
  private static int grain(long workPerElement, int unit) {
    long work = Math.max(1, workPerElement) * unit;
    return (int) Math.max(1, Math.min(1 << 20, (SHARE + work - 1) / work)) * unit;
  }

  private static void require(String name, int length, long needed) {
    if (length < needed) {
      throw new IllegalArgumentException(
          name + " has " + length + " elements, but the shape needs " + needed);
    }
  }

  @Override
  public void matmul(WeightMatrix w, float[] x, int batch, float[] y) {
    matmul(w, null, w.rows(), x, batch, y);
  }

  @Override
  public void matmulRows(WeightMatrix w, RowIndex rows, float[] x, int batch, float[] y) {
    matmul(w, rows.array(), rows.count(), x, batch, y);
  }

  private void matmul(WeightMatrix w, int[] rows, int count, float[] x, int batch, float[] y) {
    require("x", x.length, (long) batch * w.columns());
    require("y", y.length, (long) batch * count);
    if (batch == 0) {
      return;
    }
    Product product = new Product(w, rows, count, padded(x, batch, w), batch, y);
    pool.forRange(
        count,
        grain((long) batch * w.columns(), ROW_GRAIN),
        (from, to) -> primitives.matmul(product, from, to, scratch.get()));
  }

  private float[] padded(float[] x, int batch, WeightMatrix w) {
    int width = w.columns();
    int stride = w.paddedColumns();
    if (width == stride) {
      return x;
    }
    float[] wide = padded.zeros(batch * stride);
    for (int b = 0; b < batch; b++) {
      System.arraycopy(x, b * width, wide, b * stride, width);
    }
    return wide;
  }

  @Override
  public void sumRows(WeightMatrix w, float[] c, int batch, float[] y) {
    sumRows(w, null, w.rows(), c, batch, y);
  }

  @Override
  public void sumRows(WeightMatrix w, RowIndex rows, float[] c, int batch, float[] y) {
    sumRows(w, rows.array(), rows.count(), c, batch, y);
  }

  private void sumRows(WeightMatrix w, int[] rows, int count, float[] c, int batch, float[] y) {
    require("c", c.length, (long) batch * count);
    require("y", y.length, (long) batch * w.columns());
    if (batch == 0) {
      return;
    }
    Product product = new Product(w, rows, count, c, batch, y);
    pool.forRange(
        w.columns(),
        grain((long) batch * count, COLUMN_GRAIN),
        (from, to) -> primitives.sumRows(product, from, to, scratch.get()));
  }

  @Override
  public void rmsNorm(
      float[] x, int batch, int width, float[] weight, float epsilon, float[] y) {
    require("x", x.length, (long) batch * width);
    require("y", y.length, (long) batch * width);
    require("weight", weight.length, width);
    pool.forRange(
        batch,
        grain(width, 1),
        (from, to) -> primitives.rmsNorm(x, from, to, weight, epsilon, y, width));
  }

  @Override
  public void add(float[] x, float[] y, int n) {
    pool.forRange(n, grain(1, COLUMN_GRAIN), (from, to) -> primitives.add(x, y, from, to));
  }

  @Override
  public void rope(
      float[] x, int tokens, int heads, int headSize, int[] positions, float[] cos, float[] sin) {
    require("x", x.length, (long) tokens * heads * headSize);
    require("positions", positions.length, tokens);
    if (headSize % 2 != 0) {
      throw new IllegalArgumentException("headSize must be even to rotate halves, not " + headSize);
    }
    int half = headSize / 2;
    pool.forRange(
        tokens,
        grain(2L * heads * headSize, 1),
        (from, to) -> {
          for (int head = from * heads; head < to * heads; head++) {
            primitives.rope(x, head * headSize, half, cos, sin, positions[head / heads] * half);
          }
        });
  }

  @Override
  public void attention(
      AttentionShape shape,
      float[] q,
      float[] keys,
      float[] values,
      int[] slotOffsets,
      int[] positions,
      int tokens,
      float[] out) {
    long width = (long) shape.heads() * shape.headSize();
    require("q", q.length, tokens * width);
    require("out", out.length, tokens * width);
    AttentionCall call =
        new AttentionCall(shape, q, keys, values, slotOffsets, positions, tokens, out);
    long context = 0;
    for (int t = 0; t < tokens; t++) {
      context += positions[t] + 1;
    }
    long work = context * 2 * shape.groupSize() * shape.headSize() / Math.max(1, tokens);
    pool.forRange(
        tokens * shape.kvHeads(),
        grain(work, 1),
        (from, to) -> primitives.attention(call, from, to, scratch.get()));
  }

  @Override
  public void softmax(float[] x, int rows, int width) {
    require("x", x.length, (long) rows * width);
    pool.forRange(
        rows,
        grain((long) EXPONENTIAL * width, 1),
        (from, to) -> {
          for (int row = from; row < to; row++) {
            primitives.softmax(x, row * width, (row + 1) * width);
          }
        });
  }

  @Override
  public void activate(Activation activation, float[] x, int n) {
    pool.forRange(
        n,
        grain(EXPONENTIAL, COLUMN_GRAIN),
        (from, to) -> primitives.activate(activation, x, from, to));
  }

  @Override
  public void activateAndMultiply(Activation activation, float[] gate, float[] up, int n) {
    pool.forRange(
        n,
        grain(EXPONENTIAL, COLUMN_GRAIN),
        (from, to) -> primitives.activateAndMultiply(activation, gate, up, from, to));
  }

  @Override
  public void multiplyGathered(
      float[] wide, int batch, int width, RowIndex rows, float[] compact) {
    forSequences(batch, rows.count(), b -> Gathering.multiply(wide, b * width, rows, compact, b));
  }

  @Override
  public void gather(float[] wide, int batch, int width, RowIndex rows, float[] compact) {
    forSequences(batch, rows.count(), b -> Gathering.copy(wide, b * width, rows, compact, b));
  }

  @Override
  public void dropUncalled(
      float[] scores,
      int batch,
      int width,
      float[] scale,
      float threshold,
      RowIndex rows,
      float[] compact) {
    Scores all = new Scores(scores, batch, width, scale);
    forSequences(batch, rows.count(), b -> Gathering.drop(all, b, threshold, rows, compact));
  }

  private interface Sequence {
    void run(int b);
  }

  private void forSequences(int batch, int width, Sequence body) {
    pool.forRange(
        batch,
        grain(EXPONENTIAL * (long) width, 1),
        (from, to) -> {
          for (int b = from; b < to; b++) {
            body.run(b);
          }
        });
  }

  @Override
  public void union(
      float[] scores,
      int batch,
      int width,
      float[] scale,
      float threshold,
      RowIndex union,
      int[] called) {
    require("scores", scores.length, (long) batch * width);
    require("union", union.capacity(), width);
    require("called", called.length, batch);
    primitives.union(
        new Scores(scores, batch, width, scale), threshold, union, called, scratch.get());
  }

  @Override
  public void batchEnergy(float[] scores, int batch, int width, float[] scale, float[] energy) {
    require("scores", scores.length, (long) batch * width);
    require("energy", energy.length, width);
    primitives.batchEnergy(new Scores(scores, batch, width, scale), energy);
  }
}
