package io.rollcall.jobs.command;

import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.TextTable;
import io.rollcall.jobs.analysis.Numbers;
import io.rollcall.jobs.calibrate.CalibrateAction;
import io.rollcall.jobs.calibrate.CalibrateRequest;
import io.rollcall.jobs.calibrate.CalibrateResult;
import java.io.IOException;
import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code rollcall calibrate}. */
@Command(
    name = "calibrate",
    description = "Finds thresholds over a corpus and writes them as a profile: those of a sparsity, or"
        + " those that read the fewest bytes within a loss of quality.",
    footer = {
      "",
      "Scores are looked at along the references, else along the model's own greedy answers, with up to"
          + " --batch-size sequences in flight. Each batch bucket (up to 1, 2, 4, ... sequences) gets"
          + " thresholds of its own under shared and budget.",
      "--max-loss holds out a quarter of the documents, measures for each batch bucket what each layer"
          + " alone costs and saves, gives the layers the sparsities that save most for it, and checks the"
          + " whole on the documents held out. It takes 64 documents or 8 batches, whichever is more.",
      "A profile with corrections is searched with them in place, so that what recover gave back becomes"
          + " fewer bytes: calibrate --max-loss, recover, calibrate --profile --max-loss, and recover"
          + " once more for the thresholds found, all with the same documents.",
      "",
      "Example: rollcall calibrate --input docs.parquet --prompt-column text --references-column summary"
          + " --method m-countdown --sparsity 0.5 --output profile.json"
    })
final class CalibrateCommand implements Callable<Integer> {
  @Mixin private CorpusOptions corpus;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description = "the profile, a new file on any Hadoop file system; what it names lies beside it")
  private String output;

  @Mixin private ModelOptions model;

  @Option(
      names = "--method",
      paramLabel = "METHOD",
      description = "cats, m-countdown, d-countdown-oracle or s-countdown-oracle; with --profile also"
          + " d-countdown or s-countdown (default: the profile's)")
  private String method;

  @Option(
      names = "--profile",
      paramLabel = "FILE",
      description = "a profile that gets thresholds anew; its predictors and neuron scales are kept, and"
          + " with the same method, union and scales its corrections too")
  private String profile;

  @Option(
      names = "--union",
      paramLabel = "UNION",
      description = "own, shared or budget:FRACTION: which rows a batch loads and who uses them"
          + " (default: the profile's, else shared)")
  private String union;

  @Option(
      names = "--sparsity",
      paramLabel = "S",
      description = "fraction of neurons that a sequence drops, the mean over decode positions of each"
          + " layer and batch bucket: under own those it does not call, under shared and budget those"
          + " nobody in its batch calls")
  private Double sparsity;

  @Option(
      names = "--max-loss",
      paramLabel = "F",
      description = "instead of --sparsity: rise of perplexity allowed in each batch bucket, 0.01 for"
          + " 1 %%, on documents held out")
  private Double maxLoss;

  @Option(
      names = "--uniform",
      description = "with --max-loss: all layers of a bucket get the same sparsity, to compare with")
  private boolean uniform;

  @Option(
      names = "--largest-only",
      description = "with --max-loss: search for batches of --batch-size alone. Smaller ones, which a run"
          + " has at its ends, get the same sparsities, which cost them less")
  private boolean largestOnly;

  @Option(
      names = "--neuron-scales",
      negatable = true,
      description = "for cats and m-countdown: multiply each neuron's score by the norm of its"
          + " down-projection row and the typical size of the factor that the score leaves out, found"
          + " over up to 256 of the documents. Fewer bytes for the same loss; thresholds are no longer the"
          + " papers' (default: with --max-loss, or as the profile has it)")
  private Boolean neuronScales;

  @Mixin private AnswerOptions answers;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "of the order of documents and of the sketches (default: ${DEFAULT-VALUE})")
  private long seed;

  @Override
  public Integer call() throws IOException {
    CalibrateRequest request =
        new CalibrateRequest(
            corpus.source(),
            corpus.references(),
            model.source(),
            SparsityOptions.usage(() -> method == null ? null : Method.parse(method)),
            profile,
            SparsityOptions.usage(() -> union == null ? null : UnionStrategy.parse(union)),
            sparsity,
            maxLoss,
            uniform,
            largestOnly,
            neuronScales,
            answers.greedy(seed),
            output);
    try (SparkSession spark = Sessions.open("calibrate")) {
      System.out.println(
          summary(
              new CalibrateAction(spark, request)
                  .progress(Terminal.progress())
                  .execute()));
    }
    return 0;
  }

  private static String summary(CalibrateResult result) {
    SparsityProfile profile = result.profile();
    SparsityProfile.Calibration calibration = profile.calibration();
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "%s%s, union %s: thresholds from %,d decode positions of %,d documents, %.1f s%n",
            profile.method(),
            profile.neuronScales() == null ? "" : " with neuron scales",
            profile.union(),
            calibration.positions(),
            calibration.prompts(),
            result.seconds()));
    TextTable table =
        new TextTable(
            1,
            new TextTable.Column("Batch up to", 11, true),
            new TextTable.Column("Sparsity", 8, true),
            new TextTable.Column("Own density", 11, true),
            new TextTable.Column("Union density", 13, true));
    SparsityProfile.Search search = calibration.search();
    boolean own = profile.union() instanceof UnionStrategy.Own;
    for (int bucket = 0; bucket < profile.thresholds().length; bucket++) {
      table.row(
          own ? "any" : BatchBuckets.largest(bucket),
          Numbers.thousandths(profile.sparsity()[bucket]),
          Numbers.thousandths(mean(calibration.ownDensity()[bucket])),
          own ? "-" : Numbers.thousandths(mean(calibration.unionDensity()[bucket])));
    }
    text.append(table);
    if (search != null) {
      text.append(searched(search));
    }
    return text
        .append(
            String.format(
                Locale.ROOT,
                "Densities may be off by %.4f (99 %% confidence, the sketches' error)%n",
                calibration.rankError()))
        .append("Profile: ")
        .append(result.output())
        .toString();
  }

  private static String searched(SparsityProfile.Search search) {
    TextTable table =
        new TextTable(
            1,
            new TextTable.Column("Batch", 5, true),
            new TextTable.Column("Bytes", 7, true),
            new TextTable.Column("Loss", 7, true),
            new TextTable.Column("Layers alike: sparsity", 22, true),
            new TextTable.Column("Bytes", 7, true),
            new TextTable.Column("Loss", 7, true));
    for (SparsityProfile.BucketSearch bucket : search.buckets()) {
      table.row(
          bucket.batchSize(),
          percent(bucket.bytes()),
          percent(bucket.loss()),
          Numbers.thousandths(bucket.uniformSparsity()),
          percent(bucket.uniformBytes()),
          percent(bucket.uniformLoss()));
    }
    return String.format(
        Locale.ROOT,
        "%nSearched with %,d documents for a loss of at most %s; checked on %,d others, bytes to dense:%n%s",
        search.searched(),
        percent(search.maxLoss()),
        search.heldOut(),
        table);
  }

  private static String percent(double value) {
    return String.format(Locale.ROOT, "%.2f %%", 100 * value);
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }
}
