package io.rollcall.engine.recovery;

import io.rollcall.engine.algebra.ReducedRankRegression;
import io.rollcall.engine.sparsity.Bf16;
import io.rollcall.engine.sparsity.Correction;
import java.util.Arrays;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;

/**
 * Fits one layer's correction e = c + U (V x) in closed form: with inputs and errors less their mean in
 * each bucket, V are the directions of the best map of a rank ({@link ReducedRankRegression}), U is the
 * ridge regression of e on V x, and c = mean(e) - U V mean(x). Of several ridges and no map at all, the
 * one stays that leaves the least error at held-out positions.
 */
public final class CorrectionFit {
  /** Of the mean square of an input, that directions are found with: one eigenproblem for all ridges. */
  private static final double DIRECTIONS_RIDGE = 0.1;

  /** Likewise, of U. */
  private static final double[] RIDGES = {0, 0.03, 0.1, 0.3, 1, 3, 10};

  /**
   * Positions that a bucket's own means must outweigh: tails of a run are of small batches, and few.
   */
  private static final double PRIOR_POSITIONS = 64;

  private final CorrectionStatistics statistics;
  private final ErrorMoments moments;
  private final int d;
  private final double[][] meanInputs;
  private final double[][] meanErrors;

  /**
   * @param remaining fraction of the held-out positions' squared error that is left; of the training
   *     positions' where none are held out
   */
  public record Fitted(Correction correction, double remaining) {}

  private CorrectionFit(CorrectionStatistics statistics) {
    this.statistics = statistics;
    moments = statistics.training();
    d = moments.hidden();
    meanInputs = means(moments::inputs);
    meanErrors = means(moments::errors);
  }

  /**
   * @param rank most directions of the map; 0 for means alone
   * @throws IllegalArgumentException without a position
   */
  public static Fitted fit(CorrectionStatistics statistics, int rank) {
    if (statistics.training().count() == 0) {
      throw new IllegalArgumentException("no positions to fit a correction to");
    }
    return new CorrectionFit(statistics).fit(rank);
  }

  private Fitted fit(int rank) {
    Fitted best = judged(new Correction(0, bf16(meanErrors), new short[0], new short[0]));
    if (rank == 0) {
      return best;
    }
    DMatrixRMaj covariance = centred(moments.gram(), meanInputs);
    DMatrixRMaj cross = centred(moments.cross(), meanErrors);
    double meanSquare = CommonOps_DDRM.trace(covariance) / d + 1e-12;
    DMatrixRMaj down = directions(covariance, cross, DIRECTIONS_RIDGE * meanSquare, rank);
    DMatrixRMaj seen = product(product(down, covariance), transposed(down));
    DMatrixRMaj lengths = product(down, transposed(down));
    DMatrixRMaj answered = product(down, cross);
    for (double ridge : RIDGES) {
      DMatrixRMaj system = new DMatrixRMaj(rank, rank);
      DMatrixRMaj up = new DMatrixRMaj(rank, d); // U^T
      CommonOps_DDRM.add(seen, ridge * meanSquare, lengths, system);
      if (CommonOps_DDRM.solve(system, answered, up)) {
        Fitted fitted = judged(mapped(down, up));
        if (fitted.remaining < best.remaining) {
          best = fitted;
        }
      }
    }
    return best;
  }

  /** V [r x d]. */
  private DMatrixRMaj directions(
      DMatrixRMaj covariance, DMatrixRMaj cross, double ridge, int rank) {
    DMatrixRMaj ridged = covariance.copy();
    for (int i = 0; i < d; i++) {
      ridged.add(i, i, ridge);
    }
    DMatrixRMaj response = product(cross, transposed(cross));
    return new DMatrixRMaj(ReducedRankRegression.directions(ridged, response, rank));
  }

  private interface Sums {
    double[] of(int bucket);
  }

  /** By bucket, drawn to the mean of all where positions are few. */
  private double[][] means(Sums sums) {
    double[] all = new double[d];
    for (int k = 0; k < moments.buckets(); k++) {
      for (int i = 0; i < d; i++) {
        all[i] += sums.of(k)[i] / moments.weight();
      }
    }
    double[][] means = new double[moments.buckets()][d];
    double prior = PRIOR_POSITIONS * moments.weight() / moments.count();
    for (int k = 0; k < means.length; k++) {
      for (int i = 0; i < d; i++) {
        means[k][i] = (sums.of(k)[i] + prior * all[i]) / (moments.weight(k) + prior);
      }
    }
    return means;
  }

  /** Mean over positions of (x - mean(x)) (z - mean(z))^T, from the sums of x z^T. */
  private DMatrixRMaj centred(double[] products, double[][] means) {
    DMatrixRMaj centred = new DMatrixRMaj(d, d);
    double n = moments.weight();
    for (int i = 0; i < d * d; i++) {
      centred.data[i] = products[i] / n;
    }
    boolean square = means == meanInputs;
    for (int k = 0; k < means.length; k++) {
      double[] x = moments.inputs(k);
      double[] z = square ? x : moments.errors(k);
      double weight = moments.weight(k);
      for (int i = 0; i < d; i++) {
        double a = meanInputs[k][i];
        for (int j = 0; j < d; j++) {
          double b = means[k][j];
          centred.data[i * d + j] -= (x[i] * b + a * z[j] - weight * a * b) / n;
        }
      }
    }
    return centred;
  }

  /** The correction of a map U V. */
  private Correction mapped(DMatrixRMaj down, DMatrixRMaj upTransposed) {
    double[][] bias = new double[meanErrors.length][];
    for (int k = 0; k < bias.length; k++) {
      DMatrixRMaj mean = DMatrixRMaj.wrap(d, 1, meanInputs[k]);
      DMatrixRMaj mapped = product(transposed(upTransposed), product(down, mean));
      CommonOps_DDRM.subtract(DMatrixRMaj.wrap(d, 1, meanErrors[k]), mapped, mapped);
      bias[k] = mapped.data;
    }
    return new Correction(
        down.numRows, bf16(bias), bf16(down.data), bf16(transposed(upTransposed).data));
  }

  private static short[][] bf16(double[][] values) {
    return Arrays.stream(values).map(CorrectionFit::bf16).toArray(short[][]::new);
  }

  private static short[] bf16(double[] values) {
    short[] bits = new short[values.length];
    for (int i = 0; i < bits.length; i++) {
      bits[i] = Bf16.round((float) values[i]);
    }
    return bits;
  }

  private Fitted judged(Correction correction) {
    ErrorMoments judges =
        statistics.heldOut().count() > 0 ? statistics.heldOut() : statistics.training();
    double before = 0;
    double after = 0;
    DMatrixRMaj rest = null; // X^T (E - C)
    if (correction.rank() > 0) {
      rest = new DMatrixRMaj(d, d, true, judges.cross().clone());
    }
    for (int k = 0; k < judges.buckets(); k++) {
      float[] c = correction.bias(k);
      double[] errors = judges.errors(k);
      double[] inputs = judges.inputs(k);
      before += judges.squares(k);
      after += judges.squares(k);
      for (int i = 0; i < d; i++) {
        after += c[i] * (judges.weight(k) * (double) c[i] - 2 * errors[i]);
      }
      if (rest != null) {
        for (int i = 0; i < d; i++) {
          for (int j = 0; j < d; j++) {
            rest.data[i * d + j] -= inputs[i] * c[j];
          }
        }
      }
    }
    if (rest != null) {
      after += mapped(correction, judges, rest);
    }
    return new Fitted(correction, before == 0 ? 1 : after / before);
  }

  /** What the map adds to the squared error: |U V x|^2 - 2 (e - c) . U V x, summed. */
  private double mapped(Correction correction, ErrorMoments judges, DMatrixRMaj rest) {
    int r = correction.rank();
    DMatrixRMaj v = matrix(r, d, correction.down());
    DMatrixRMaj u = matrix(d, r, correction.up());
    DMatrixRMaj gram = DMatrixRMaj.wrap(d, d, judges.gram());
    DMatrixRMaj seen = product(product(v, gram), transposed(v)); // V X^T X V^T
    CommonOps_DDRM.elementMult(seen, product(transposed(u), u));
    DMatrixRMaj agreement = product(product(v, rest), u); // V X^T (E - C) U
    return CommonOps_DDRM.elementSum(seen) - 2 * CommonOps_DDRM.trace(agreement);
  }

  private static DMatrixRMaj product(DMatrixRMaj a, DMatrixRMaj b) {
    DMatrixRMaj product = new DMatrixRMaj(a.numRows, b.numCols);
    CommonOps_DDRM.mult(a, b, product);
    return product;
  }

  private static DMatrixRMaj transposed(DMatrixRMaj a) {
    return CommonOps_DDRM.transpose(a, null);
  }

  private static DMatrixRMaj matrix(int rows, int columns, short[] bits) {
    DMatrixRMaj matrix = new DMatrixRMaj(rows, columns);
    for (int i = 0; i < bits.length; i++) {
      matrix.data[i] = Bf16.value(bits[i]);
    }
    return matrix;
  }
}
