package io.rollcall.engine.calibration;

import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.runner.ScoreObserver;
import java.util.List;

/**
 * Shows a method's plain scores with neuron scales, as a sparse step compares them.
 *
 * @param scales [layer][f]
 */
record ScaledScores(ScoreObserver observer, List<float[]> scales) implements ScoreObserver {

  @Override
  public void input(int layer, float[] x, int batch) {
    observer.input(layer, x, batch);
  }

  @Override
  public void begin(List<DecodeSequence> sequences) {
    observer.begin(sequences);
  }

  @Override
  public void observe(int layer, int bucket, float[] scores, int batch, float[] scale) {
    observer.observe(layer, bucket, scores, batch, scales.get(layer));
  }
}
