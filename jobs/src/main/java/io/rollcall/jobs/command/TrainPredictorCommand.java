package io.rollcall.jobs.command;

import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.engine.training.PredictorQuality;
import io.rollcall.jobs.TextTable;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.analysis.Numbers;
import io.rollcall.jobs.training.TrainPredictorAction;
import io.rollcall.jobs.training.TrainPredictorRequest;
import io.rollcall.jobs.training.TrainPredictorResult;
import io.rollcall.jobs.training.TrainedLayer;
import java.io.IOException;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code rollcall train-predictor}. */
@Command(
    name = "train-predictor",
    description = "Trains the low-rank predictors of d-countdown or s-countdown and writes a profile with"
        + " their thresholds, and the predictors in a safetensors file beside it.",
    footer = {
      "",
      "Predictors learn which neurons the oracle calls at decode positions: those of the references,"
          + " else of the model's own greedy answers. An eighth of the documents is held out.",
      "On the CPU: --backend auto is cpu here, and cuda is refused.",
      "",
      "Example: rollcall train-predictor --input docs.parquet --prompt-column text"
          + " --references-column summary --sparsity 0.7 --output profile.json"
    })
final class TrainPredictorCommand implements Callable<Integer> {
  @Mixin private CorpusOptions corpus;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description = "the profile, a new file on any Hadoop file system; the predictors lie beside it")
  private String output;

  @Mixin private ModelOptions model;

  @Option(
      names = "--method",
      paramLabel = "METHOD",
      defaultValue = "d-countdown",
      description = "d-countdown or s-countdown (default: ${DEFAULT-VALUE})")
  private String method;

  @Option(
      names = "--sparsity",
      required = true,
      paramLabel = "S",
      description = "fraction of neurons to drop: of those that a sequence calls when predictors are"
          + " trained, of a batch's union for the thresholds under shared and budget")
  private double sparsity;

  @Option(
      names = "--union",
      paramLabel = "UNION",
      defaultValue = "shared",
      description = "own, shared or budget:FRACTION: which rows a batch loads and who uses them"
          + " (default: ${DEFAULT-VALUE})")
  private String union;

  @Option(
      names = "--rank",
      paramLabel = "K",
      description = "of the predictors, at most the hidden size (default: a 24th of the intermediate"
          + " size, to the nearest 32)")
  private Integer rank;

  @Option(
      names = "--logit",
      paramLabel = "FORM",
      description = "linear (COUNTDOWN's, B z with z = A x) or folded (B z + |F z|, which can be large on"
          + " both sides of zero, as scores are) (default: ${DEFAULT-VALUE})")
  private String logit;

  @Option(
      names = "--predictor-weights",
      paramLabel = "TYPE",
      description = "precision that decode steps read predictors at: bf16, int8 or int4 (default:"
          + " ${DEFAULT-VALUE})")
  private String precision;

  @Option(
      names = "--positions",
      paramLabel = "N",
      description = "most decode positions to learn from; each takes 2d + f bytes a layer (default:"
          + " ${DEFAULT-VALUE})")
  private int positions;

  @Option(
      names = "--continuations",
      paramLabel = "N",
      description = "where documents are few: answers of each prompt, sampled at temperature 1, to learn"
          + " from besides, up to --positions (default: ${DEFAULT-VALUE})")
  private int continuations;

  @Option(
      names = "--epochs",
      paramLabel = "N",
      description = "most passes over the positions; a layer stops when held-out positions gain no more"
          + " (default: ${DEFAULT-VALUE})")
  private int epochs;

  @Mixin private AnswerOptions answers;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "of the order of documents and positions, and of sampled answers (default:"
          + " ${DEFAULT-VALUE})")
  private long seed;

  @Override
  public Integer call() throws IOException {
    TrainPredictorRequest request =
        new TrainPredictorRequest(
            corpus.source(),
            corpus.references(),
            model.source(),
            SparsityOptions.usage(() -> Method.parse(method)),
            SparsityOptions.usage(() -> UnionStrategy.parse(union)),
            sparsity,
            rank,
            folded(logit),
            ModelOptions.weightType("--predictor-weights", precision),
            positions,
            continuations,
            epochs,
            answers.greedy(seed),
            output);
    try (SparkSession spark = Sessions.open("train-predictor")) {
      System.out.println(
          summary(
              new TrainPredictorAction(spark, request)
                  .progress(Terminal.progress())
                  .execute()));
    }
    return 0;
  }

  private static boolean folded(String logit) {
    return switch (logit) {
      case "linear" -> false;
      case "folded" -> true;
      default -> throw new UsageException("unknown --logit '" + logit + "'; use linear or folded");
    };
  }

  private static String summary(TrainPredictorResult result) {
    SparsityProfile profile = result.profile();
    SparsityProfile.Training training = profile.calibration().training();
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "%s of rank %d, %s logits, %s, at sparsity %s: %,d decode positions trained on, %,d held"
                + " out, %.1f s%n",
            profile.method(),
            training.rank(),
            profile.predictors().folded() ? "folded" : "linear",
            profile.predictors().precision().name().toLowerCase(Locale.ROOT),
            profile.sparsity()[0],
            training.positions(),
            training.heldOut(),
            result.seconds()));
    text.append(
        String.format(
            "Held out, at the wanted density, against %s:%n", profile.method().oracle()));
    TextTable table =
        new TextTable(
            1,
            new TextTable.Column("Layer", 5, true),
            new TextTable.Column("Recall", 6, true),
            new TextTable.Column("Precision", 9, true),
            new TextTable.Column("Energy", 6, true),
            new TextTable.Column("Least squares'", 14, true),
            new TextTable.Column("Epochs", 6, true),
            new TextTable.Column("Own density", 11, true));
    for (TrainedLayer layer : result.layers()) {
      PredictorQuality quality = layer.trained().quality();
      table.row(
          layer.layer(),
          Numbers.thousandths(quality.recall()),
          Numbers.thousandths(quality.precision()),
          Numbers.thousandths(quality.energy()),
          Numbers.thousandths(layer.trained().initial().energy()),
          layer.trained().epochs(),
          Numbers.thousandths(profile.calibration().ownDensity()[0][layer.layer()]));
    }
    return text.append(table)
        .append("Profile: ")
        .append(result.output())
        .append("; predictors: ")
        .append(result.predictor())
        .toString();
  }
}
