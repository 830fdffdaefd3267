package io.rollcall.kernels.cuda;

import java.util.Arrays;

/**
 * Which page of a pool holds which positions of which sequence: the host's bookkeeping of {@link
 * KeyValuePages}. A slot is one sequence's row of the table; a page holds {@link #POSITIONS}
 * consecutive positions of one slot. Used by one thread at a time.
 */
final class PageTable {
  /** Positions of a page; attention.cuh has the same number. */
  static final int POSITIONS = 64;

  /** Takes the changed part of a slot's row: pages {@code from} to before {@code to}. */
  interface Change {
    void accept(int slot, int from, int to);
  }

  private final int slots;
  private final int maxPages;
  private final int[] table;
  private final int[] held;
  private final int[] changedFrom;
  private final int[] changedTo;
  private final int[] free;
  private int freeCount;

  /**
   * @param pages of the pool
   * @param slots sequences at a time, at most
   * @param maxPages of one slot, at most
   */
  PageTable(int pages, int slots, int maxPages) {
    this.slots = slots;
    this.maxPages = maxPages;
    table = new int[Math.multiplyExact(slots, maxPages)];
    Arrays.fill(table, -1);
    held = new int[slots];
    changedFrom = new int[slots];
    changedTo = new int[slots];
    for (int slot = 0; slot < slots; slot++) {
      changedTo[slot] = maxPages;
    }
    free = new int[pages];
    for (int i = 0; i < pages; i++) {
      free[i] = pages - 1 - i;
    }
    freeCount = pages;
  }

  /** Pages that hold so many positions. */
  static int pagesFor(int positions) {
    return (positions + POSITIONS - 1) / POSITIONS;
  }

  /**
   * Sees to it that the slot holds at least so many positions, counted from its first. What it holds
   * already stays where it is.
   *
   * @return false, with nothing changed, when there are too few free pages
   * @throws IllegalArgumentException when a slot never holds so many
   */
  boolean reserve(int slot, int positions) {
    int wanted = pagesFor(positions);
    if (wanted > maxPages) {
      throw new IllegalArgumentException(
          "%d positions in a slot; at most %d fit".formatted(positions, maxPages * POSITIONS));
    }
    int from = held[checked(slot)];
    if (wanted - from > freeCount) {
      return false;
    }
    for (int i = from; i < wanted; i++) {
      table[slot * maxPages + i] = free[--freeCount];
    }
    if (wanted > from) {
      held[slot] = wanted;
      changed(slot, from, wanted);
    }
    return true;
  }

  /** Gives all pages of the slot back. */
  void release(int slot) {
    int pages = held[checked(slot)];
    for (int i = pages - 1; i >= 0; i--) {
      free[freeCount++] = table[slot * maxPages + i];
      table[slot * maxPages + i] = -1;
    }
    held[slot] = 0;
    changed(slot, 0, pages);
  }

  /** The page of the slot's positions 64 index to 64 index + 63, or -1. */
  int page(int slot, int index) {
    return table[checked(slot) * maxPages + index];
  }

  /** Positions that the slot holds, a multiple of a page's. */
  int reserved(int slot) {
    return held[checked(slot)] * POSITIONS;
  }

  int freePages() {
    return freeCount;
  }

  int slots() {
    return slots;
  }

  int maxPages() {
    return maxPages;
  }

  /** Hands over what has changed since the last call, at first everything. */
  void drainChanges(Change change) {
    for (int slot = 0; slot < slots; slot++) {
      if (changedFrom[slot] < changedTo[slot]) {
        change.accept(slot, changedFrom[slot], changedTo[slot]);
        changedFrom[slot] = maxPages;
        changedTo[slot] = 0;
      }
    }
  }

  private void changed(int slot, int from, int to) {
    changedFrom[slot] = Math.min(changedFrom[slot], from);
    changedTo[slot] = Math.max(changedTo[slot], to);
  }

  private int checked(int slot) {
    if (slot < 0 || slot >= slots) {
      throw new IndexOutOfBoundsException("slot " + slot + " of " + slots);
    }
    return slot;
  }
}
