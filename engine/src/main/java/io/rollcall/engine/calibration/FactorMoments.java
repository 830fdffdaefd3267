package io.rollcall.engine.calibration;

import io.rollcall.engine.runner.ScoreObserver;
import io.rollcall.engine.sparsity.Bf16;
import io.rollcall.engine.sparsity.NeuronScales;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * How large the factor is that a method's scores leave out: sums over decode positions of its square
 * times the squared norm of the neuron's down-projection row. {@link NeuronScales} come from there; the
 * moments of several parts of a corpus add up.
 */
public final class FactorMoments implements Serializable {
  private final long positions;
  private final double[][] squares;

  /** @param squares [layer][f] */
  private FactorMoments(long positions, double[][] squares) {
    this.positions = positions;
    this.squares = squares;
  }

  /** Sums the squares of the scores that it sees, which are the other method's. */
  static final class Sums implements ScoreObserver {
    private final double[][] squares;
    private long positions;

    Sums(int layers, int width) {
      squares = new double[layers][width];
    }

    @Override
    public void observe(int layer, int bucket, float[] scores, int batch, float[] scale) {
      if (layer == 0) {
        positions += batch;
      }
      double[] sums = squares[layer];
      for (int at = 0; at < batch * sums.length; at += sums.length) {
        for (int i = 0; i < sums.length; i++) {
          double score = scores[at + i];
          sums[i] += score * score;
        }
      }
    }

    /** @param downNorms [layer][f] */
    FactorMoments moments(List<float[]> downNorms) {
      double[][] scaled = new double[squares.length][];
      for (int layer = 0; layer < scaled.length; layer++) {
        float[] norms = downNorms.get(layer);
        double[] sums = squares[layer];
        scaled[layer] = new double[sums.length];
        Arrays.setAll(scaled[layer], i -> sums[i] * norms[i] * norms[i]);
      }
      return new FactorMoments(positions, scaled);
    }
  }

  /** Decode positions seen. */
  public long positions() {
    return positions;
  }

  /** Those of two parts together. */
  public FactorMoments plus(FactorMoments other) {
    double[][] sums = new double[squares.length][];
    for (int layer = 0; layer < sums.length; layer++) {
      double[] a = squares[layer];
      double[] b = other.squares[layer];
      sums[layer] = new double[a.length];
      Arrays.setAll(sums[layer], i -> a[i] + b[i]);
    }
    return new FactorMoments(positions + other.positions, sums);
  }

  /**
   * Their roots, divided by each layer's mean, so that thresholds stay about what they are without
   * scales.
   *
   * @param file that the scales will be in
   */
  public NeuronScales scales(String file) {
    List<short[]> layers = new ArrayList<>();
    for (double[] sums : squares) {
      double[] roots = Arrays.stream(sums).map(Math::sqrt).toArray();
      double mean = Arrays.stream(roots).average().orElseThrow();
      float[] scales = new float[roots.length];
      for (int i = 0; i < scales.length; i++) {
        scales[i] = mean == 0 ? 1 : (float) (roots[i] / mean);
      }
      layers.add(Bf16.round(scales));
    }
    return new NeuronScales(file, layers);
  }
}
