package io.rollcall.engine.generation;

import io.rollcall.engine.sampling.RandomStream;
import java.util.Arrays;

/** One prompt being answered: its tokens and what its decode steps called. */
final class Sequence implements Scheduler.Scheduled {
  private final String id;
  private final int[] prompt;
  private final RandomStream random;
  private int[] output = new int[16];
  private int outputSize;
  private int slot = -1;
  private long called;
  private long loaded;
  private long steps;

  Sequence(String id, int[] prompt, RandomStream random) {
    this.id = id;
    this.prompt = prompt;
    this.random = random;
  }

  String id() {
    return id;
  }

  int[] prompt() {
    return prompt;
  }

  RandomStream random() {
    return random;
  }

  @Override
  public int promptLength() {
    return prompt.length;
  }

  @Override
  public int slot() {
    return slot;
  }

  @Override
  public void occupy(int slot) {
    this.slot = slot;
  }

  int outputSize() {
    return outputSize;
  }

  int lastToken() {
    return output[outputSize - 1];
  }

  /** Position of the last token, the one that the next decode step is given. */
  int lastPosition() {
    return prompt.length + outputSize - 1;
  }

  void append(int token) {
    if (outputSize == output.length) {
      output = Arrays.copyOf(output, 2 * outputSize);
    }
    output[outputSize++] = token;
  }

  int[] output() {
    return Arrays.copyOf(output, outputSize);
  }

  /**
   * Counts a decode step.
   *
   * @param calledRows neurons this sequence called, over all layers
   * @param loadedRows rows of the step's unions, over all layers
   */
  void count(long calledRows, long loadedRows) {
    called += calledRows;
    loaded += loadedRows;
    steps++;
  }

  /** @param neurons of all layers together */
  double ownDensity(long neurons) {
    return steps == 0 ? Double.NaN : (double) called / (steps * neurons);
  }

  double unionDensity(long neurons) {
    return steps == 0 ? Double.NaN : (double) loaded / (steps * neurons);
  }
}
