package io.rollcall.engine.generation;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;

/**
 * Owns where each sequence is: waiting, read ahead from the prompts, or running in a slot of the
 * cache. A slot that falls free is given to a waiting sequence at the next step. A sequence is admitted
 * only with room in the cache for all it may grow to, so that none is ever put back.
 */
final class Scheduler {

  /** The room of the key/value cache. */
  interface Cache {
    /** Whether there is room for the sequence in this slot; set aside if so. */
    boolean reserve(int slot, Sequence sequence);

    void release(int slot);
  }

  private final Iterator<Sequence> source;
  private final Cache cache;
  private final int readAhead;
  private final List<Sequence> waiting = new ArrayList<>();
  private final List<Sequence> running = new ArrayList<>();
  private final ArrayDeque<Integer> freeSlots = new ArrayDeque<>();

  /** @param slots most sequences running at a time */
  Scheduler(Iterator<Sequence> source, int slots, Cache cache) {
    this.source = source;
    this.cache = cache;
    this.readAhead = 2 * slots;
    for (int slot = 0; slot < slots; slot++) {
      freeSlots.add(slot);
    }
  }

  boolean idle() {
    return running.isEmpty() && waiting.isEmpty() && !source.hasNext();
  }

  List<Sequence> running() {
    return running;
  }

  /**
   * Gives free slots to waiting sequences: to the one that waits longest, so that none starves, and
   * to those nearest to it in length, which prefill well together. Returns the sequences admitted.
   */
  List<Sequence> admit() {
    if (freeSlots.isEmpty()) {
      return List.of();
    }
    while (waiting.size() < Math.max(readAhead, freeSlots.size()) && source.hasNext()) {
      waiting.add(source.next());
    }
    if (waiting.isEmpty()) {
      return List.of();
    }
    int length = waiting.get(0).prompt().length;
    List<Sequence> group =
        waiting.stream()
            .sorted(Comparator.comparingInt(s -> Math.abs(s.prompt().length - length)))
            .limit(freeSlots.size())
            .takeWhile(this::occupy)
            .toList();
    if (group.isEmpty() && running.isEmpty()) {
      throw new IllegalStateException("an empty cache has no room for one sequence");
    }
    waiting.removeAll(group);
    running.addAll(group);
    return group;
  }

  private boolean occupy(Sequence sequence) {
    int slot = freeSlots.element();
    if (!cache.reserve(slot, sequence)) {
      return false;
    }
    sequence.occupy(freeSlots.remove());
    return true;
  }

  /** Takes an ended sequence out; its slot and its room in the cache are free. */
  void release(Sequence sequence) {
    running.remove(sequence);
    cache.release(sequence.slot());
    freeSlots.add(sequence.slot());
  }
}
