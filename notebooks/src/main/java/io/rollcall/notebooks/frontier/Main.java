package io.rollcall.notebooks.frontier;

import io.rollcall.engine.UserException;
import io.rollcall.engine.model.Model;
import io.rollcall.engine.model.ModelReader;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.analysis.FrontierPoint;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.runtime.BackendChoice;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.ProfileFiles;
import io.rollcall.jobs.runtime.RollcallPlugin;
import io.rollcall.kernels.WeightType;
import io.rollcall.notebooks.frontier.Grid.Wanted;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code notebooks/bin/frontier}: measures what the file does not have yet, and adds it. */
@Command(
    name = "frontier",
    mixinStandardHelpOptions = true,
    description = "Measures feed-forward bytes against perplexity loss over batch sizes, methods, unions,"
        + " weights and recovery, and writes the points as JSON. Points that the file has are kept.")
public final class Main implements Callable<Integer> {
  /** As many as an evaluation runs side by side. */
  private static final int TOGETHER = 16;

  @Option(
      names = "--calibration",
      required = true,
      paramLabel = "PATH",
      description = "documents with summaries, for thresholds and corrections")
  private String calibration;

  @Option(
      names = "--measured",
      required = true,
      paramLabel = "PATH",
      description = "other documents with summaries, to measure on")
  private String measured;

  @Option(names = "--output", required = true, paramLabel = "FILE", description = "the points")
  private Path output;

  @Option(
      names = "--work",
      required = true,
      paramLabel = "DIR",
      description = "where profiles with corrections are kept")
  private Path work;

  @Option(
      names = "--prompt-column",
      paramLabel = "NAME",
      defaultValue = "document",
      description = "in both (default: ${DEFAULT-VALUE})")
  private String prompts;

  @Option(
      names = "--references-column",
      paramLabel = "NAME",
      defaultValue = "summary",
      description = "in both (default: ${DEFAULT-VALUE})")
  private String references;

  @Option(
      names = "--model",
      paramLabel = "MODEL",
      defaultValue = "builtin:summarizer-20m",
      description = "as in other commands (default: ${DEFAULT-VALUE})")
  private String modelName;

  @Option(
      names = "--batch-sizes",
      split = ",",
      defaultValue = "1,8,32,4,16,64",
      description = "in this order (default: ${DEFAULT-VALUE})")
  private List<Integer> batchSizes;

  @Option(
      names = "--methods",
      split = ",",
      defaultValue = "m-countdown,cats,d-countdown,d-countdown-oracle,s-countdown-oracle",
      description = "d-countdown and s-countdown need --predictor (default: ${DEFAULT-VALUE})")
  private List<String> methods;

  @Option(
      names = "--predictor",
      paramLabel = "FILE",
      description = "profile that train-predictor wrote, whose predictors the method that it was trained"
          + " for takes")
  private String predictor;

  @Option(
      names = "--profile",
      paramLabel = "FILE",
      description = "a profile to measure beside, at the largest batch size that it has thresholds for;"
          + " may be repeated")
  private List<String> profiles = List.of();

  @Option(
      names = "--only",
      split = ",",
      paramLabel = "WHAT",
      description = "of the grid: plain, recovery, weights, unions; none of them with an empty one"
          + " (default: all)")
  private List<String> only = List.of("plain", "recovery", "weights", "unions");

  @Option(
      names = "--documents",
      paramLabel = "N",
      defaultValue = "200",
      description = "to measure on (default: ${DEFAULT-VALUE})")
  private int documents;

  @Option(
      names = "--calibration-documents",
      paramLabel = "N",
      defaultValue = "300",
      description = "to calibrate on (default: ${DEFAULT-VALUE})")
  private int calibrationDocuments;

  private final List<FrontierPoint> points = new ArrayList<>();
  private Configuration hadoop;

  public static void main(String... arguments) {
    CommandLine line = new CommandLine(new Main());
    line.setExecutionExceptionHandler(
        (e, command, parsed) -> {
          if (!(e instanceof UserException)) {
            throw e;
          }
          System.err.println("frontier: " + e.getMessage());
          return 1;
        });
    System.exit(line.execute(arguments));
  }

  @Override
  public Integer call() throws IOException {
    Files.createDirectories(work);
    try (SparkSession spark =
        SparkSession.builder()
            .master("local[*]")
            .appName("rollcall frontier")
            .config("spark.plugins", RollcallPlugin.class.getName())
            .config("spark.ui.enabled", "false")
            .config("spark.log.level", "ERROR")
            .config("spark.sql.shuffle.partitions", "1")
            .getOrCreate()) {
      hadoop = spark.sessionState().newHadoopConf();
      if (Files.exists(output)) {
        points.addAll(FrontierPoint.read(output.toString(), hadoop));
      }
      try (Model model =
          ModelReader.described(ModelRegistry.process().files(source(), hadoop))) {
        measure(spark, model);
      }
    }
    System.out.println(points.size() + " points: " + output);
    return 0;
  }

  private ModelSource source() {
    return new ModelSource(
        modelName, WeightType.BF16, BackendChoice.CPU);
  }

  private void measure(SparkSession spark, Model model) {
    Predictors predictors =
        predictor == null ? null : ProfileFiles.read(predictor, model, hadoop).predictors();
    Measurement measurement =
        new Measurement(
            spark,
            model,
            new PromptSource(calibration, "id", prompts, List.of(), calibrationDocuments),
            new PromptSource(measured, "id", prompts, List.of(), documents),
            references,
            predictors,
            work);
    List<Method> asked =
        methods.stream()
            .map(Method::parse)
            .filter(method -> !method.needsPredictor() || predictors != null)
            .toList();
    given(model)
        .forEach((batchSize, given) -> add(measurement.points(batchSize, given)));
    for (int batchSize : batchSizes) {
      List<Wanted> missing =
          Grid.of(batchSize, asked).stream()
              .filter(wanted -> only.contains(part(wanted)))
              .filter(wanted -> absent(batchSize, wanted, null))
              .toList();
      for (WeightType weights : WeightType.values()) {
        List<Wanted> of = missing.stream().filter(w -> w.weights() == weights).toList();
        for (int from = 0; from < of.size(); from += TOGETHER) {
          List<Wanted> some = of.subList(from, Math.min(of.size(), from + TOGETHER));
          System.err.printf(
              Locale.ROOT,
              "frontier: batch %d, %s: %d of %d configurations%n",
              batchSize, weights, from + some.size(), of.size());
          add(measurement.points(batchSize, weights, some));
        }
      }
    }
  }

  private static String part(Wanted wanted) {
    if (wanted.recovery()) {
      return "recovery";
    }
    return wanted.weights() != WeightType.BF16
        ? "weights"
        : wanted.union() instanceof UnionStrategy.Shared ? "plain" : "unions";
  }

  /** Profiles that the file has no point of, by name, by their largest batch size. */
  private Map<Integer, Map<String, SparsityProfile>> given(Model model) {
    Map<Integer, Map<String, SparsityProfile>> given = new TreeMap<>();
    for (String file : profiles) {
      SparsityProfile profile = ProfileFiles.read(file, model, hadoop);
      int batchSize = BatchBuckets.largest(profile.thresholds().length - 1);
      String name = Path.of(file).getFileName().toString();
      if (absent(batchSize, Measurement.given(batchSize, profile), name)) {
        given.computeIfAbsent(batchSize, any -> new LinkedHashMap<>()).put(name, profile);
      }
    }
    return given;
  }

  private boolean absent(int batchSize, Wanted wanted, String profile) {
    FrontierPoint sought =
        new FrontierPoint(
            batchSize,
            wanted.method().toString(),
            wanted.union().toString(),
            wanted.weights().name().toLowerCase(Locale.ROOT),
            wanted.recovery(),
            wanted.sparsity(),
            profile,
            0, 0, 0, 0, 0, 0);
    return points.stream().noneMatch(sought::sameAs);
  }

  private void add(List<FrontierPoint> found) {
    points.addAll(found);
    FrontierPoint.write(points, output.toString(), hadoop);
    found.forEach(System.err::println);
  }
}
