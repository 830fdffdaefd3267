package io.rollcall.jobs.generate;

import io.rollcall.engine.sparsity.SparsityProfile;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;

/**
 * How far a run's prompts called other than those that its thresholds were calibrated on.
 *
 * @param factor times the calibration's spread between prompts that a layer may be off
 */
record Drift(double factor, List<Layer> layers) {

  /**
   * One layer's fraction of neurons that a sequence called.
   *
   * @param ownDensity of the run, mean over its decode steps
   * @param calibrated what calibration measured at the thresholds of the batch buckets that ran
   * @param deviation how much the run is above it
   * @param bound that the deviation may have either way; null where the profile has no spread
   */
  record Layer(int layer, double ownDensity, double calibrated, double deviation, Double bound) {
    boolean past() {
      return bound != null && Math.abs(deviation) > bound;
    }

    double ratio() {
      return Math.abs(deviation) / bound;
    }
  }

  /** Null for a dense run, one without a decode step, or a profile that says nothing of densities. */
  static Drift of(SparsityProfile profile, RunTotals totals, double factor) {
    SparsityProfile.Calibration calibration = profile.calibration();
    if (calibration == null || calibration.ownDensity() == null || totals.buckets().isEmpty()) {
      return null;
    }
    TreeMap<Integer, List<RunTotals.BucketTotals>> byLayer = new TreeMap<>();
    totals
        .buckets()
        .forEach(b -> byLayer.computeIfAbsent(b.layer(), any -> new ArrayList<>()).add(b));
    return new Drift(
        factor,
        byLayer.entrySet().stream()
            .map(entry -> layer(entry.getKey(), entry.getValue(), calibration, factor))
            .toList());
  }

  private static Layer layer(
      int layer,
      List<RunTotals.BucketTotals> buckets,
      SparsityProfile.Calibration calibration,
      double factor) {
    double sequences = buckets.stream().mapToLong(RunTotals.BucketTotals::sequences).sum();
    double own =
        buckets.stream().mapToDouble(RunTotals.BucketTotals::ownDensity).sum() / sequences;
    double calibrated = mean(buckets, layer, calibration.ownDensity()) / sequences;
    Double bound =
        calibration.ownSpread() == null
            ? null
            : factor * mean(buckets, layer, calibration.ownSpread()) / sequences;
    return new Layer(layer, own, calibrated, own - calibrated, bound);
  }

  /** Of [bucket][layer], summed over sequences; the last bucket serves every larger one. */
  private static double mean(
      List<RunTotals.BucketTotals> buckets, int layer, double[][] values) {
    return buckets.stream()
        .mapToDouble(
            b -> b.sequences() * values[Math.min(b.bucket(), values.length - 1)][layer])
        .sum();
  }

  /** One line where a layer is past its bound; null where none is. */
  String warning() {
    List<Layer> past = layers.stream().filter(Layer::past).toList();
    if (past.isEmpty()) {
      return null;
    }
    Layer most = past.stream().max(Comparator.comparingDouble(Layer::ratio)).orElseThrow();
    return String.format(
        Locale.ROOT,
        "the prompts are not like those of the profile's calibration: %d of %d layers call past %s times"
            + " its spread, layer %d most (own density %.3f, calibrated %.3f); evaluate the profile on"
            + " them, or calibrate one",
        past.size(), layers.size(), number(factor), most.layer(), most.ownDensity(), most.calibrated());
  }

  private static String number(double value) {
    return value == Math.rint(value) ? Long.toString((long) value) : Double.toString(value);
  }
}
