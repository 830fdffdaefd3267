package io.rollcall.engine.training;

import io.rollcall.engine.runner.ScoreObserver;
import io.rollcall.engine.sparsity.Bf16;
import java.util.Arrays;

/** Gathers what a predictor is trained on, at the first decode positions up to a bound. */
public final class SampleCollector implements ScoreObserver {
  private final float[] thresholds;
  private final int capacity;
  private final int hidden;
  private final int intermediate;
  private final byte[][] records;
  private float[] inputs;
  private int count;
  /** Of the step's positions, those that are taken. */
  private int taken;

  /**
   * @param thresholds the oracle's, [layer]
   * @param capacity most positions
   * @param hidden d
   * @param intermediate f
   */
  public SampleCollector(float[] thresholds, int capacity, int hidden, int intermediate) {
    this.thresholds = thresholds.clone();
    this.capacity = capacity;
    this.hidden = hidden;
    this.intermediate = intermediate;
    records = new byte[thresholds.length][0];
  }

  @Override
  public void input(int layer, float[] x, int batch) {
    inputs = x;
  }

  @Override
  public void observe(int layer, int bucket, float[] scores, int batch, float[] scale) {
    if (layer == 0) {
      taken = Math.min(batch, capacity - count);
      count += taken;
    }
    int width = LayerSamples.bytes(hidden, intermediate);
    byte[] out = room(layer, Math.multiplyExact(count, width));
    for (int b = 0; b < taken; b++) {
      int at = (count - taken + b) * width;
      for (int i = 0; i < hidden; i++, at += 2) {
        short bits = Bf16.round(inputs[b * hidden + i]);
        out[at] = (byte) bits;
        out[at + 1] = (byte) (bits >> 8);
      }
      for (int i = 0; i < intermediate; i++) {
        float score = Math.abs(scores[b * intermediate + i]);
        float scaled = scale == null ? score : score * scale[i];
        out[at + i] = ScoreRatio.encode(scaled / thresholds[layer]);
      }
    }
  }

  private byte[] room(int layer, int bytes) {
    if (records[layer].length < bytes) {
      long most = (long) capacity * LayerSamples.bytes(hidden, intermediate);
      records[layer] = Arrays.copyOf(records[layer], (int) Math.min(most, 2L * bytes));
    }
    return records[layer];
  }

  /** Positions taken. */
  public int count() {
    return count;
  }

  /** Whether it takes no more. */
  public boolean full() {
    return count >= capacity;
  }

  /** A layer's records, for {@link LayerSamples}. */
  public byte[] records(int layer) {
    return Arrays.copyOf(records[layer], count * LayerSamples.bytes(hidden, intermediate));
  }
}
