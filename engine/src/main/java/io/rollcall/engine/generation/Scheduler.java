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
public final class Scheduler<S extends Scheduler.Scheduled> {

  /** A sequence as far as its place goes. */
  public interface Scheduled {
    int promptLength();

    int slot();

    void occupy(int slot);
  }

  /** The room of the key/value cache. */
  public interface Cache<S> {
    /** Whether there is room for the sequence in this slot; set aside if so. */
    boolean reserve(int slot, S sequence);

    void release(int slot);
  }

  private final Iterator<S> source;
  private final Cache<S> cache;
  private final int readAhead;
  private final List<S> waiting = new ArrayList<>();
  private final List<S> running = new ArrayList<>();
  private final ArrayDeque<Integer> freeSlots = new ArrayDeque<>();

  /** @param slots most sequences running at a time */
  public Scheduler(Iterator<S> source, int slots, Cache<S> cache) {
    this.source = source;
    this.cache = cache;
    this.readAhead = 2 * slots;
    for (int slot = 0; slot < slots; slot++) {
      freeSlots.add(slot);
    }
  }

  public boolean idle() {
    return running.isEmpty() && waiting.isEmpty() && !source.hasNext();
  }

  public List<S> running() {
    return running;
  }

  /**
   * Gives free slots to waiting sequences: to the one that waits longest, so that none starves, and
   * to those nearest to it in length, which prefill well together. Returns the sequences admitted.
   */
  public List<S> admit() {
    if (freeSlots.isEmpty()) {
      return List.of();
    }
    while (waiting.size() < Math.max(readAhead, freeSlots.size()) && source.hasNext()) {
      waiting.add(source.next());
    }
    if (waiting.isEmpty()) {
      return List.of();
    }
    int length = waiting.get(0).promptLength();
    List<S> group =
        waiting.stream()
            .sorted(Comparator.comparingInt(s -> Math.abs(s.promptLength() - length)))
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

  private boolean occupy(S sequence) {
    int slot = freeSlots.element();
    if (!cache.reserve(slot, sequence)) {
      return false;
    }
    sequence.occupy(freeSlots.remove());
    return true;
  }

  /** Takes an ended sequence out; its slot and its room in the cache are free. */
  public void release(S sequence) {
    running.remove(sequence);
    cache.release(sequence.slot());
    freeSlots.add(sequence.slot());
  }
}
