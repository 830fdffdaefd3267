package io.rollcall.engine.calibration;

import io.rollcall.engine.UserException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;

/**
 * Finds the sparsities of all layers, for one batch size, that read the fewest bytes within a rise of
 * perplexity.
 *
 * <p>Each layer alone is measured at a few sparsities. Where layers take the sparsity that their price
 * of divergence makes best, the one price for all, no exchange between two layers saves bytes at the same
 * sum of divergences: what taking, step by step, the layer with the most bytes saved for its divergence
 * comes to. Layers add to each other's errors, and divergence is not loss. So profiles along that path,
 * from gentle to harsh, are measured whole, and the harshest that stays within the loss is taken, if it
 * does on documents that were not searched with too, else the next gentler one.
 */
public final class SparsitySearch {
  private static final double[] GRID = {0, 0.4, 0.7, 0.9};
  private static final double[] FIRST = {0.4, 0.7, 1.1, 1.7};
  private static final double[] GENTLER = {0.04, 0.1, 0.25, 0.55};
  private static final double[] HARSHER = {1.5, 2.3, 4, 8};
  private static final double[] WITHIN = {0.2, 0.4, 0.6, 0.8};
  private static final double[] BACK = {1, 0.92, 0.84, 0.75, 0.65, 0.5, 0.3};
  private static final int ROUNDS = 3;
  /** Divergences whose ratio is below are not told apart. */
  private static final double FINE = 1.15;

  private final int layers;
  private final double maxLoss;
  private final Measurement measurement;

  /** Which documents to measure on. */
  public enum Documents {
    /** Of {@link #SEARCH}, enough for what one layer does. */
    SENSITIVITY,
    SEARCH,
    /** Others than those. */
    HELD_OUT
  }

  /** Runs plans on documents. */
  @FunctionalInterface
  public interface Measurement {
    /** @param sparsities [plan][layer], 0 to call all neurons of a layer */
    List<Point> measure(List<double[]> sparsities, Documents documents);
  }

  /**
   * A plan, measured.
   *
   * @param sparsity [layer]
   * @param loss rise of perplexity, 0.01 for 1 %
   * @param divergence from dense, nats a position
   * @param bytes read, to dense
   */
  public record Point(double[] sparsity, double loss, double divergence, double bytes) {}

  /** A plan that stays within the loss on the documents searched with, and on those held out. */
  public record Found(Point searched, Point heldOut) {}

  /**
   * @param allocated a sparsity for each layer
   * @param uniform the same for all
   */
  public record Result(Found allocated, Found uniform) {}

  /** Plans from gentle to harsh, by the sum of divergences that its layers alone add up to. */
  private interface Path {
    double[] at(double divergence);
  }

  /** How far a path was followed. */
  private static final class Walk {
    final Path path;
    final List<Double> tried = new ArrayList<>();
    Point best;
    double within;
    double past = Double.POSITIVE_INFINITY;

    Walk(Path path) {
      this.path = path;
    }
  }

  /** @param maxLoss above 0 */
  public SparsitySearch(int layers, double maxLoss, Measurement measurement) {
    this.layers = layers;
    this.maxLoss = maxLoss;
    this.measurement = measurement;
  }

  /**
   * Searches.
   *
   * @throws UserException when even the gentlest plan costs more; it says how much
   */
  public Result search() {
    List<double[]> alone = alone();
    List<Point> points = measurement.measure(alone, Documents.SENSITIVITY);
    LayerSensitivity[] sensitivities = sensitivities(points);
    Walk allocated = new Walk(sum -> allocate(sensitivities, sum));
    Walk uniform = new Walk(sum -> uniform(sensitivities, sum));
    double expected = Math.log1p(maxLoss);
    for (int round = 0; round < ROUNDS; round++) {
      follow(List.of(allocated, uniform), expected);
    }
    if (allocated.best == null || uniform.best == null) {
      Point gentlest = gentlest();
      List.of(allocated, uniform).stream()
          .filter(walk -> walk.best == null)
          .forEach(walk -> walk.best = gentlest);
    }
    return check(allocated, uniform);
  }

  /** Nothing dropped, then each layer at each sparsity. */
  private List<double[]> alone() {
    List<double[]> plans = new ArrayList<>();
    plans.add(new double[layers]);
    for (int layer = 0; layer < layers; layer++) {
      for (double sparsity : Arrays.copyOfRange(GRID, 1, GRID.length)) {
        double[] plan = new double[layers];
        plan[layer] = sparsity;
        plans.add(plan);
      }
    }
    return plans;
  }

  private LayerSensitivity[] sensitivities(List<Point> points) {
    return IntStream.range(0, layers)
        .mapToObj(
            layer -> {
              List<Point> of = new ArrayList<>();
              of.add(points.get(0));
              int first = 1 + layer * (GRID.length - 1);
              of.addAll(points.subList(first, first + GRID.length - 1));
              return new LayerSensitivity(
                  GRID,
                  of.stream().mapToDouble(Point::divergence).toArray(),
                  of.stream().mapToDouble(Point::bytes).toArray());
            })
        .toArray(LayerSensitivity[]::new);
  }

  private static double sum(LayerSensitivity[] sensitivities, double[] sparsity) {
    return IntStream.range(0, sparsity.length)
        .mapToDouble(layer -> sensitivities[layer].divergence(sparsity[layer]))
        .sum();
  }

  /** The harshest allocation within a sum of divergences. */
  private double[] allocate(LayerSensitivity[] sensitivities, double most) {
    double gentle = 1e9;
    double harsh = 1e-9;
    double[] best = new double[layers];
    for (int i = 0; i < 100; i++) {
      double price = Math.sqrt(gentle * harsh);
      double[] plan = Arrays.stream(sensitivities).mapToDouble(s -> s.best(price)).toArray();
      if (sum(sensitivities, plan) <= most) {
        gentle = price;
        best = plan;
      } else {
        harsh = price;
      }
    }
    return best;
  }

  private double[] uniform(LayerSensitivity[] sensitivities, double most) {
    double[] plan = new double[layers];
    double low = 0;
    double high = GRID[GRID.length - 1];
    for (int i = 0; i < 30; i++) {
      double middle = (low + high) / 2;
      Arrays.fill(plan, middle);
      if (sum(sensitivities, plan) <= most) {
        low = middle;
      } else {
        high = middle;
      }
    }
    Arrays.fill(plan, low);
    return plan;
  }

  /** Measures more plans of each path: nearer to where it leaves the loss. */
  private void follow(List<Walk> walks, double expected) {
    List<double[]> plans = new ArrayList<>();
    List<double[]> sums = walks.stream().map(walk -> next(walk, expected)).toList();
    for (int w = 0; w < walks.size(); w++) {
      Path path = walks.get(w).path;
      Arrays.stream(sums.get(w)).mapToObj(path::at).forEach(plans::add);
    }
    if (plans.isEmpty()) {
      return;
    }
    List<Point> points = measurement.measure(plans, Documents.SEARCH);
    int at = 0;
    for (int w = 0; w < walks.size(); w++) {
      for (double sum : sums.get(w)) {
        take(walks.get(w), sum, points.get(at++));
      }
    }
  }

  private static double[] next(Walk walk, double expected) {
    if (walk.tried.isEmpty()) {
      return DoubleStream.of(FIRST).map(factor -> factor * expected).toArray();
    }
    if (walk.best == null) {
      return DoubleStream.of(GENTLER).map(factor -> factor * walk.past).toArray();
    }
    if (Double.isInfinite(walk.past)) {
      return DoubleStream.of(HARSHER).map(factor -> factor * walk.within).toArray();
    }
    double ratio = walk.past / walk.within;
    return ratio < FINE
        ? new double[0]
        : DoubleStream.of(WITHIN).map(part -> walk.within * Math.pow(ratio, part)).toArray();
  }

  /** Sums come in ascending order: the first past the loss ends what is believed. */
  private void take(Walk walk, double sum, Point point) {
    walk.tried.add(sum);
    if (sum >= walk.past) {
      return;
    }
    if (point.loss() <= maxLoss) {
      walk.within = sum;
      walk.best = point;
    } else {
      walk.past = sum;
    }
  }

  private Point gentlest() {
    Point least =
        measurement.measure(List.of(new double[layers]), Documents.SEARCH).get(0);
    if (least.loss() > maxLoss) {
      throw unreachable(least);
    }
    return least;
  }

  private UserException unreachable(Point least) {
    return new UserException(
        String.format(
            Locale.ROOT,
            "no thresholds keep the rise of perplexity within --max-loss %s: the least that can be"
                + " reached is %.4f; allow more, or choose another --union or --method",
            maxLoss,
            least.loss()));
  }

  private Result check(Walk allocated, Walk uniform) {
    List<double[]> plans = new ArrayList<>();
    for (Walk walk : List.of(allocated, uniform)) {
      for (double back : BACK) {
        plans.add(walk.path.at(walk.within * back));
      }
    }
    List<Point> heldOut = measurement.measure(plans, Documents.HELD_OUT);
    return new Result(
        checked(allocated, heldOut.subList(0, BACK.length)),
        checked(uniform, heldOut.subList(BACK.length, plans.size())));
  }

  private Found checked(Walk walk, List<Point> heldOut) {
    Optional<Point> within =
        heldOut.stream().filter(point -> point.loss() <= maxLoss).findFirst();
    return new Found(
        walk.best,
        within.orElseThrow(
            () ->
                unreachable(
                    heldOut.stream().min(Comparator.comparingDouble(Point::loss)).get())));
  }
}
