package io.rollcall.engine.generation;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;

/**
 * Owns where each sequence is: waiting, read ahead from the prompts, or running in a slot of the
 * cache. A slot that falls free is given to a waiting sequence at the next step.
 */
final class Scheduler {
  private final Iterator<Sequence> source;
  private final int readAhead;
  private final List<Sequence> waiting = new ArrayList<>();
  private final List<Sequence> running = new ArrayList<>();
  private final ArrayDeque<Integer> freeSlots = new ArrayDeque<>();

  /** @param slots most sequences running at a time */
  Scheduler(Iterator<Sequence> source, int slots) {
    this.source = source;
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
            .toList();
    waiting.removeAll(group);
    group.forEach(sequence -> sequence.occupy(freeSlots.remove()));
    running.addAll(group);
    return group;
  }

  /** Takes an ended sequence out; its slot is free. */
  void release(Sequence sequence) {
    running.remove(sequence);
    freeSlots.add(sequence.slot());
  }
}
