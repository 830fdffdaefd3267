package io.rollcall.kernels.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The work list of one prefill pass: consecutive positions of several sequences, cut into tiles of
 * queries that a block of threads takes at once. Each tile belongs to one sequence, so prompts of any
 * lengths lie packed side by side.
 */
public final class PrefillTiles {
  /** Rows (queries times the query heads of a group) of the two sizes of tiles. */
  static final int SMALL_ROWS = 64;
  static final int LARGE_ROWS = 128;

  private static final int BYTES_PER_TILE = 4 * Integer.BYTES;

  /**
   * Consecutive positions of one sequence in a packed batch.
   *
   * @param slot row of the page table
   * @param firstRow row of the batch that holds the first of them
   * @param firstPosition of the first of them in the sequence
   * @param queries how many
   */
  public record Span(int slot, int firstRow, int firstPosition, int queries) {
    public Span {
      if (slot < 0 || firstRow < 0 || firstPosition < 0 || queries < 1) {
        throw new IllegalArgumentException(
            "slot %d, row %d, position %d, %d queries"
                .formatted(slot, firstRow, firstPosition, queries));
      }
    }

    private int lastPage() {
      return (firstPosition + queries - 1) / PageTable.POSITIONS;
    }
  }

  private final int rows;
  private final List<Span> tiles;

  private PrefillTiles(int rows, List<Span> tiles) {
    this.rows = rows;
    this.tiles = tiles;
  }

  /**
   * Large tiles where they give two blocks to each multiprocessor, else small ones: those compute
   * less with what they load, but a short prompt's work spreads wider and its longest tile is shorter.
   *
   * @param groupSize query heads of a key/value head
   */
  static PrefillTiles of(List<Span> spans, int groupSize, int kvHeads, int multiprocessors) {
    PrefillTiles large = cut(spans, groupSize, LARGE_ROWS);
    return (long) large.count() * kvHeads >= 2L * multiprocessors
        ? large
        : cut(spans, groupSize, SMALL_ROWS);
  }

  /** Longest first: a block that starts late must end soon. */
  static PrefillTiles cut(List<Span> spans, int groupSize, int rows) {
    int most = rows / groupSize;
    List<Span> tiles = new ArrayList<>();
    for (Span span : spans) {
      for (int i = 0; i < span.queries(); i += most) {
        tiles.add(
            new Span(
                span.slot(),
                span.firstRow() + i,
                span.firstPosition() + i,
                Math.min(most, span.queries() - i)));
      }
    }
    tiles.sort(Comparator.comparingInt(Span::lastPage).reversed());
    return new PrefillTiles(rows, tiles);
  }

  /** Bytes of the longest list for so many rows of queries of so many sequences. */
  public static long maxBytes(int queries, int sequences, int groupSize) {
    int most = SMALL_ROWS / groupSize;
    return ((long) queries / most + sequences) * BYTES_PER_TILE;
  }

  /** Tiles. */
  public int count() {
    return tiles.size();
  }

  int rows() {
    return rows;
  }

  List<Span> tiles() {
    return tiles;
  }

  /** Bytes of the list on the device. */
  public int bytes() {
    return count() * BYTES_PER_TILE;
  }

  /** Appends the list as the device wants it: int32 slot, first row, first position, queries. */
  public void write(ByteBuffer to) {
    if (to.order() != ByteOrder.LITTLE_ENDIAN) {
      throw new IllegalArgumentException("the buffer must be little-endian");
    }
    for (Span tile : tiles) {
      to.putInt(tile.slot())
          .putInt(tile.firstRow())
          .putInt(tile.firstPosition())
          .putInt(tile.queries());
    }
  }
}
