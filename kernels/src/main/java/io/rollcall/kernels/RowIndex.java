package io.rollcall.kernels;

import java.util.Arrays;

/** A sorted list of distinct row numbers in [0, capacity), reused from step to step. */
public final class RowIndex {
  private final int[] rows;
  private int count;

  public RowIndex(int capacity) {
    rows = new int[capacity];
  }

  public int count() {
    return count;
  }

  public int capacity() {
    return rows.length;
  }

  /** The i-th row, i in [0, count). */
  public int row(int i) {
    return rows[i];
  }

  /** The backing array, of which the first {@link #count()} entries are valid. For kernels. */
  public int[] array() {
    return rows;
  }

  public void clear() {
    count = 0;
  }

  /** Appends a row greater than the last one. */
  public void append(int row) {
    rows[count++] = row;
  }

  @Override
  public String toString() {
    return Arrays.toString(Arrays.copyOf(rows, count));
  }
}
