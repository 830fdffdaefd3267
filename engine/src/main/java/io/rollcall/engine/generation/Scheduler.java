package io.rollcall.engine.generation;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.List;
import java.util.function.ToIntFunction;

/**
 * Owns where each sequence is: waiting, read ahead from the prompts, or running in a slot of the
 * cache. Slots that fall free are given to waiting sequences when enough are free for a prefill to be
 * worth its while. A sequence is admitted only with room in the cache for all it may grow to, so that
 * none is ever put back.
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
  private final ToIntFunction<S> slotsToFill;
  private final List<S> waiting = new ArrayList<>();
  private final List<S> running = new ArrayList<>();
  private final ArrayDeque<Integer> freeSlots = new ArrayDeque<>();

  /**
   * @param slots most sequences running at a time
   * @param slotsToFill how many slots to wait for, given the sequence that waits longest; 1 for none but the
   *     first. Fewer are filled where nothing else waits, and where nothing runs
   */
  public Scheduler(Iterator<S> source, int slots, Cache<S> cache, ToIntFunction<S> slotsToFill) {
    this.source = source;
    this.cache = cache;
    this.slotsToFill = slotsToFill;
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
    S longest = waiting.get(0);
    int enough = Math.min(slotsToFill.applyAsInt(longest), waiting.size());
    if (freeSlots.size() < enough && !running.isEmpty()) {
      return List.of();
    }
    int length = longest.promptLength();
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
