package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Numbers.finePercent;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import io.rollcall.engine.UserException;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.analysis.Chart.Axis;
import io.rollcall.jobs.analysis.Chart.Kind;
import io.rollcall.jobs.analysis.Chart.Series;
import io.rollcall.jobs.analysis.Chart.Unit;
import io.rollcall.jobs.evaluate.Metrics;
import io.rollcall.jobs.runtime.TextFile;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.SparkSession;

/** What people ask before they adopt a profile: evaluations and profiles beside each other. */
public final class CalibrationFindings {
  private final List<Metrics> sparse = new ArrayList<>();
  private final Map<String, SparsityProfile> profiles = new TreeMap<>();
  /** Whether the profile of an evaluated configuration has one threshold for all batch sizes. */
  private final Map<Metrics, Boolean> uniform = new IdentityHashMap<>();

  /**
   * @param evaluations folders that evaluate wrote
   * @param profiles files of which more is asked than their evaluations say: predictors' recall
   * @throws UserException for a folder without metrics.json or a file that is no profile
   */
  public CalibrationFindings(SparkSession spark, List<String> evaluations, List<String> profiles) {
    Configuration configuration = spark.sessionState().newHadoopConf();
    profiles.forEach(file -> this.profiles.put(file, profile(file, configuration)));
    for (String folder : evaluations) {
      for (Metrics metrics : Evaluations.read(spark, List.of(folder))) {
        if (metrics.sparsity() > 0) {
          sparse.add(metrics);
          evaluated(metrics.profile(), folder, configuration)
              .ifPresent(profile -> uniform.put(metrics, isUniform(profile)));
        }
      }
    }
  }

  /** By the name that evaluate was given, or where evaluations keep their profiles. */
  private static Optional<SparsityProfile> evaluated(
      String file, String folder, Configuration configuration) {
    if (file == null) {
      return Optional.empty();
    }
    String name = new Path(file).getName();
    return Stream.of(new Path(file), new Path(folder, "profiles/" + name), new Path(folder, name))
        .map(Path::toString)
        .filter(place -> TextFile.exists("profile", place, configuration))
        .findFirst()
        .map(place -> profile(place, configuration));
  }

  /** All questions. */
  public List<Finding> all() {
    return List.of(frontier(), batchAware(), recall());
  }

  /** Bytes against loss, and which configurations no other beats in both. */
  public Finding frontier() {
    String question = "Which configurations are worth their loss?";
    if (sparse.isEmpty()) {
      return noEvaluation("frontier", question);
    }
    List<Metrics> best = frontier(sparse);
    List<Series> series = new ArrayList<>();
    series.add(
        new Series(
            "frontier",
            true,
            best.stream().mapToDouble(Metrics::bytesToDense).toArray(),
            best.stream().mapToDouble(Metrics::perplexityLoss).toArray(),
            null));
    Chart points = QualityCharts.bytesAgainstLoss("Bytes against loss", sparse);
    series.addAll(points.series());
    return new Finding(
        "frontier",
        question,
        List.of(
            new Chart(
                points.kind(), points.title(), points.x(), points.y(), points.categories(), series)),
        List.of(
            QualityCharts.best(sparse, 0.05),
            format(
                "%d of %d configurations are on the frontier: no other reads less for less loss.",
                best.size(), sparse.size())),
        QualityCharts.table(sparse),
        false);
  }

  /** Thresholds of each batch size beside one threshold for all. */
  public Finding batchAware() {
    String question = "What do thresholds for each batch size buy?";
    List<Metrics> known =
        sparse.stream()
            .filter(uniform::containsKey)
            .filter(m -> m.batchSize() > 1 && !m.union().equals("own"))
            .toList();
    List<Metrics> same = known.stream().filter(uniform::get).toList();
    List<Metrics> aware = known.stream().filter(m -> !uniform.get(m)).toList();
    if (same.isEmpty() || aware.isEmpty()) {
      return Evidence.nothing(
          "batch-aware",
          question,
          "It takes evaluations of both: profiles with thresholds by batch size and profiles with the same"
              + " for all.",
          format("There are %d of the first and %d of the second.", aware.size(), same.size()));
    }
    return new Finding(
        "batch-aware",
        question,
        List.of(
            QualityCharts.bytesAgainstLoss(
                "Bytes against loss in batches",
                known,
                m -> (uniform.get(m) ? "uniform" : "batch-aware") + ", " + QualityCharts.kind(m))),
        List.of(within("Profiles with thresholds by batch size", aware), within("Profiles with one threshold for all batch sizes", same)),
        QualityCharts.table(known),
        false);
  }

  private static String within(String what, List<Metrics> some) {
    Optional<Metrics> least =
        some.stream()
            .filter(m -> m.perplexityLoss() <= 0.05)
            .min(Comparator.comparingDouble(Metrics::bytesToDense));
    return least
        .map(
            m ->
                format(
                    "%s read at least %s of dense's bytes within 5 %% of perplexity (%s at sparsity %s, batch %d).",
                    what, percent(m.bytesToDense()), m.method(), m.sparsity(), m.batchSize()))
        .orElseGet(
            () -> {
              Metrics m =
                  some.stream().min(Comparator.comparingDouble(Metrics::perplexityLoss)).get();
              return format(
                  "%s lose at least %s of perplexity in these evaluations, for %s of dense's bytes (%s at"
                      + " sparsity %s, batch %d).",
                  what,
                  finePercent(m.perplexityLoss()),
                  percent(m.bytesToDense()),
                  m.method(),
                  m.sparsity(),
                  m.batchSize());
            });
  }

  /** How much of what the oracle calls a predictor finds, by layer. */
  public Finding recall() {
    String question = "How well do predictors know the oracle's rows?";
    Map<String, SparsityProfile> trained =
        profiles.entrySet().stream()
            .filter(e -> e.getValue().calibration() != null)
            .filter(e -> e.getValue().calibration().training() != null)
            .collect(
                Collectors.toMap(Map.Entry::getKey, Map.Entry::getValue, (a, b) -> a, TreeMap::new));
    if (trained.isEmpty()) {
      return Evidence.nothing(
          "recall",
          question,
          "None of the profiles has a trained predictor.",
          "The train-predictor command writes such a profile.");
    }
    DataTable table =
        DataTable.of("Profile", "#Rank", "#Layer", "#Recall", "#Precision", "#Energy");
    trained.forEach((file, profile) -> rows(file, profile, table));
    String file = trained.keySet().iterator().next();
    SparsityProfile.Training training = trained.get(file).calibration().training();
    int layers = training.recall().length;
    int worst =
        IntStream.range(0, layers)
            .boxed()
            .min(Comparator.comparingDouble(layer -> training.energy()[layer]))
            .orElseThrow();
    return new Finding(
        "recall",
        question,
        List.of(
            new Chart(
                Kind.BARS,
                format("Held-out positions, rank %d", training.rank()),
                new Axis("Layer", Unit.NUMBER),
                new Axis("Of the oracle's", Unit.SHARE),
                IntStream.range(0, layers).mapToObj(Integer::toString).toList(),
                List.of(
                    Series.measured("rows found (recall)", training.recall()),
                    Series.measured("energy found", training.energy())))),
        List.of(
            format(
                "The predictor of rank %d finds %s of the rows that its oracle calls, and with them %s of their"
                    + " energy, on %,d held-out positions.",
                training.rank(),
                percent(mean(training.recall())),
                percent(mean(training.energy())),
                training.heldOut()),
            format(
                "Layer %d is hardest to predict: %s of its rows and %s of its energy.",
                worst, percent(training.recall()[worst]), percent(training.energy()[worst]))),
        table,
        false);
  }

  private static void rows(String file, SparsityProfile profile, DataTable table) {
    SparsityProfile.Training training = profile.calibration().training();
    String name = file.substring(file.lastIndexOf('/') + 1);
    for (int layer = 0; layer < training.recall().length; layer++) {
      table.row(
          name,
          Integer.toString(training.rank()),
          Integer.toString(layer),
          percent(training.recall()[layer]),
          percent(training.precision()[layer]),
          percent(training.energy()[layer]));
    }
  }

  private static Finding noEvaluation(String id, String question) {
    return Evidence.nothing(
        id,
        question,
        "There is no evaluation of a sparse configuration.",
        "The evaluate command writes one.");
  }

  /** Those that no other beats in both, from most bytes to fewest. */
  static List<Metrics> frontier(List<Metrics> all) {
    ToDoubleFunction<Metrics> bytes = Metrics::bytesToDense;
    return all.stream()
        .filter(
            m ->
                all.stream()
                    .noneMatch(
                        other ->
                            bytes.applyAsDouble(other) <= bytes.applyAsDouble(m)
                                && other.perplexityLoss() <= m.perplexityLoss()
                                && (bytes.applyAsDouble(other) < bytes.applyAsDouble(m)
                                    || other.perplexityLoss() < m.perplexityLoss())))
        .sorted(Comparator.comparingDouble(bytes).reversed())
        .toList();
  }

  private static SparsityProfile profile(String file, Configuration configuration) {
    return SparsityProfile.fromJson(
        TextFile.read("profile", file, configuration),
        file,
        name -> TextFile.sibling("predictor", file, name, configuration));
  }

  private static boolean isUniform(SparsityProfile profile) {
    return Arrays.stream(profile.thresholds())
        .allMatch(bucket -> Arrays.equals(bucket, profile.thresholds()[0]));
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }
}
