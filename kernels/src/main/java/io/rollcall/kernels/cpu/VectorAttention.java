package io.rollcall.kernels.cpu;

import io.rollcall.kernels.AttentionShape;
import java.util.Arrays;

/**
 * Attention as two small products for each key/value head: scores = q K^T, then out = softmax(scores)
 * V, with the tiles of {@link DotTiles} and {@link SumTiles}.
 *
 * <p>Neighbouring tokens of one slot (prefill) go together, so that keys and values are loaded once
 * for all of them. A token's scores beyond its own position are set to zero after its softmax: as
 * coefficients of values they change nothing, so its company leaves no trace in its result.
 */
final class VectorAttention {
  /** Query rows that go together, at most: group size x tokens. */
  private static final int QUERIES = 16;

  private VectorAttention() {}

  static void attention(
      AttentionCall call, int from, int to, Scratch scratch, Primitives primitives) {
    int most = Math.max(1, QUERIES / call.shape().groupSize());
    int item = from;
    while (item < to) {
      int token = item % call.tokens();
      int together = 1;
      while (together < most
          && item + together < to
          && token + together < call.tokens()
          && call.slotOffsets()[token + together] == call.slotOffsets()[token]) {
        together++;
      }
      new Tokens(call, item / call.tokens(), token, together, scratch).attend(primitives);
      item += together;
    }
  }

  /** Tokens [first, first + count) of one slot at one key/value head. */
  private static final class Tokens {
    private final AttentionCall call;
    private final Scratch scratch;
    private final int kvHead;
    private final int first;
    private final int count;
    private final int group;
    private final int size;
    private final int padded;
    private final int length;
    private final int cache;

    Tokens(AttentionCall call, int kvHead, int first, int count, Scratch scratch) {
      AttentionShape shape = call.shape();
      this.call = call;
      this.scratch = scratch;
      this.kvHead = kvHead;
      this.first = first;
      this.count = count;
      group = shape.groupSize();
      size = shape.headSize();
      padded = (size + SumTiles.COLUMNS - 1) / SumTiles.COLUMNS * SumTiles.COLUMNS;
      int last = 0;
      for (int t = first; t < first + count; t++) {
        last = Math.max(last, call.positions()[t]);
      }
      length = last + 1;
      cache = call.cacheOffset(first, kvHead);
    }

    void attend(Primitives primitives) {
      float[] scores = scratch.scores.atLeast(count * group * length);
      score(scores);
      for (int row = 0; row < count * group; row++) {
        int at = row * length;
        int own = call.positions()[first + row / group] + 1;
        primitives.softmax(scores, at, at + own);
        Arrays.fill(scores, at + own, at + length, 0);
      }
      sumValues(scores);
    }

    /** scores[token x group + head][position], the scale already in the queries. */
    private void score(float[] scores) {
      float[] queries = scratch.queries.zeros(count * group * padded);
      float scale = (float) (1 / Math.sqrt(size));
      for (int row = 0; row < count * group; row++) {
        int at = call.queryOffset(first + row / group, kvHead) + row % group * size;
        for (int i = 0; i < size; i++) {
          queries[row * padded + i] = call.q()[at + i] * scale;
        }
      }
      for (int p = 0; p < length; p += DotTiles.PANEL) {
        int rows = Math.min(DotTiles.PANEL, length - p);
        boolean inPlace = padded == size && rows == DotTiles.PANEL;
        VectorProducts.dots(
            inPlace ? call.keys() : panel(call.keys(), p, rows, DotTiles.PANEL),
            inPlace ? cache + p * size : 0,
            padded, rows, queries, 0, padded, count * group, padded, scores, p, length, scratch);
      }
    }

    private void sumValues(float[] scores) {
      int rows = count * group;
      float[] sums = scratch.sums.zeros(rows * padded);
      int step = padded == size ? length : SumTiles.ROWS;
      for (int p = 0; p < length; p += step) {
        int n = Math.min(step, length - p);
        boolean inPlace = padded == size;
        float[] values = inPlace ? call.values() : panel(call.values(), p, n, SumTiles.ROWS);
        for (int c = 0; c < padded; c += SumTiles.COLUMNS) {
          VectorProducts.addRows(
              values, (inPlace ? cache + p * size : 0) + c, padded, n, scores, p, length, rows,
              sums, c, padded);
        }
      }
      for (int row = 0; row < rows; row++) {
        int at = call.queryOffset(first + row / group, kvHead) + row % group * size;
        VectorProducts.storeWithoutNegativeZero(sums, row * padded, size, call.out(), at);
      }
    }

    /** Positions [p, p + rows) of the cache, each zero-padded to whole tiles. */
    private float[] panel(float[] source, int p, int rows, int capacity) {
      float[] panel = scratch.panel.zeros(capacity * padded);
      for (int r = 0; r < rows; r++) {
        System.arraycopy(source, cache + (p + r) * size, panel, r * padded, size);
      }
      return panel;
    }
  }
}
