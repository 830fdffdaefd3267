package io.rollcall.jobs.command;

import io.rollcall.engine.sparsity.Corrections;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.TextTable;
import io.rollcall.jobs.recovery.RecoverAction;
import io.rollcall.jobs.recovery.RecoverRequest;
import io.rollcall.jobs.recovery.RecoverResult;
import java.io.IOException;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code rollcall recover}. */
@Command(
    name = "recover",
    description = "Fits corrections to a profile and writes one with them: what sparsity takes from each"
        + " layer's output, as a bias and a low-rank map of the layer's input, in closed form and"
        + " with at most 1 %% of the model's parameters.",
    footer = {
      "",
      "Corrections are fitted at decode positions of the references, else of the model's own greedy"
          + " answers, in batches of --batch-size under the profile's union: they are for runs of"
          + " that batch size. A quarter of the documents is held out, the same as by calibrate"
          + " --max-loss with this input: corrections that take them further from dense are not written. An"
          + " eighth of the others decides how much of each map is kept. A few hundred documents do;"
          + " --limit takes a sample of a large table.",
      "On the CPU: --backend auto is cpu here, and cuda is refused.",
      "",
      "Example: rollcall recover --profile profile.json --input docs.parquet --references-column"
          + " summary --batch-size 8 --output recovered.json"
    })
final class RecoverCommand implements Callable<Integer> {
  @Option(
      names = "--profile",
      required = true,
      paramLabel = "FILE",
      description = "the profile whose losses are to be recovered; corrections that it has already are"
          + " replaced")
  private String profile;

  @Mixin private CorpusOptions corpus;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE",
      description = "the profile with corrections, a new file on any Hadoop file system; its tensors lie"
          + " beside it")
  private String output;

  @Mixin private ModelOptions model;

  @Option(
      names = "--rank",
      paramLabel = "R",
      description = "of the maps; 0 fits biases alone (default: the largest with which corrections have"
          + " 1 %% of the model's parameters)")
  private Integer rank;

  @Option(
      names = "--layers-per-pass",
      paramLabel = "N",
      description = "layers fitted from one pass over the documents. A pass runs with the corrections of"
          + " the passes before; the first of its layers corrects what these have left, too"
          + " (default: as many as 256 MiB of statistics hold)")
  private Integer layersPerPass;

  @Mixin private AnswerOptions answers;

  @Override
  public Integer call() throws IOException {
    RecoverRequest request =
        new RecoverRequest(
            corpus.source(),
            corpus.references(),
            model.source(),
            profile,
            rank,
            layersPerPass,
            answers.greedy(0),
            output);
    try (SparkSession spark = Sessions.open("recover")) {
      System.out.println(
          summary(
              new RecoverAction(spark, request)
                  .progress(Terminal.progress())
                  .execute()));
    }
    return 0;
  }

  private static String summary(RecoverResult result) {
    SparsityProfile profile = result.profile();
    Corrections corrections = profile.corrections();
    Corrections.Fitting fitting = corrections.fitting();
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "Corrections of %s, union %s, batch size %d: %,d documents, %,d decode positions fitted,"
                + " %,d held out, %.1f s%n",
            profile.method(),
            profile.union(),
            fitting.batchSize(),
            fitting.documents(),
            fitting.positions(),
            fitting.heldOut(),
            result.seconds()));
    text.append(
        String.format(
            Locale.ROOT,
            "%,d parameters, %.2f %% of the model's%n",
            corrections.parameters(),
            100.0 * corrections.parameters() / result.modelParameters()));
    TextTable table =
        new TextTable(
            1,
            new TextTable.Column("Layer", 5, true),
            new TextTable.Column("Rank", 4, true),
            new TextTable.Column("Squared error left", 18, true));
    for (int layer = 0; layer < fitting.rank().length; layer++) {
      table.row(
          layer,
          fitting.rank()[layer],
          String.format(Locale.ROOT, "%.0f %%", 100 * fitting.remaining()[layer]));
    }
    text.append(table);
    Corrections.Check check = fitting.check();
    if (check != null) {
      text.append(
          String.format(
              Locale.ROOT,
              "%,d held-out documents: perplexity %.2f dense, %.2f sparse, %.2f corrected; KL divergence"
                  + " from dense %.3f sparse, %.3f corrected%n",
              check.documents(),
              check.dense(),
              check.sparse(),
              check.corrected(),
              check.sparseDivergence(),
              check.correctedDivergence()));
      if (check.corrected() > Math.max(check.dense(), check.sparse())) {
        text.append("Warning: these corrections raise perplexity; use the profile without them\n");
      }
    }
    return text
        .append("Profile: ")
        .append(result.output())
        .append("; tensors: ")
        .append(result.tensors())
        .toString();
  }
}
