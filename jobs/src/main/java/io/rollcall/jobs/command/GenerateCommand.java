package io.rollcall.jobs.command;

import io.rollcall.engine.sparsity.Crossover;
import io.rollcall.jobs.generate.GenerateAction;
import io.rollcall.jobs.generate.GenerateRequest;
import io.rollcall.jobs.generate.GenerateResult;
import io.rollcall.jobs.output.WriteMode;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code rollcall generate}. */
@Command(
    name = "generate",
    description = "Answers the prompts of a table and writes the generations, with what the sparsity"
        + " saved, to OUTPUT/generations, OUTPUT/sparsity and OUTPUT/runs.",
    footer = {
      "",
      "With union own, on the CPU, a prompt's answer does not depend on its batch; with shared and"
          + " budget it may change with the batch size, the partitions and the crossover.",
      "A prompt that cannot be answered becomes a row with finish_reason error. Rows that share an id"
          + " become one such row; a row without an id gets null#<hash of the row> for one.",
      "",
      "Example: rollcall generate --input docs.parquet --prompt-column text --output summaries"
    })
final class GenerateCommand implements Callable<Integer> {
  @Mixin private InputOptions input;

  @Option(
      names = "--keep-columns",
      split = ",",
      paramLabel = "NAME",
      description = "input columns to carry over into generations, comma-separated")
  private List<String> keepColumns = List.of();

  @Option(
      names = "--output",
      required = true,
      paramLabel = "PATH",
      description = "directory of the tables, on any Hadoop file system")
  private String output;

  @Option(
      names = "--mode",
      paramLabel = "MODE",
      description = "when the output exists: error, overwrite (its earlier run's tables), append, or"
          + " resume (only ids that it lacks; an id with an error row counts as there) (default:"
          + " ${DEFAULT-VALUE})")
  private String mode;

  @Mixin private ModelOptions model;
  @Mixin private SparsityOptions sparsity;
  @Mixin private DecodingOptions decoding;

  @Option(
      names = "--partitions",
      paramLabel = "N",
      description = "tasks to split the prompts over; 0 chooses by prompts and cores")
  private int partitions;

  @Option(
      names = "--crossover",
      paramLabel = "DENSITY",
      description = "union density from which a layer runs dense: measured (by each executor, for what"
          + " it computes with), never, or a fraction that all runs share, so that under shared and"
          + " budget they repeat each other's texts (default: ${DEFAULT-VALUE})")
  private String crossover;

  @Option(
      names = "--drift-bound",
      paramLabel = "N",
      description = "warn where a layer's own density is further from its calibration than N times"
          + " the standard deviation there between prompts (default: ${DEFAULT-VALUE})")
  private double driftBound;

  @Override
  public Integer call() throws IOException {
    GenerateRequest request =
        new GenerateRequest(
            input.source(keepColumns),
            output,
            WriteMode.parse(mode),
            model.source(),
            sparsity.request(),
            decoding.decoding(),
            partitions,
            crossover.equals("measured")
                ? null
                : SparsityOptions.usage(() -> Crossover.parse(crossover)));
    try (SparkSession spark = Sessions.open("generate")) {
      GenerateResult result =
          new GenerateAction(spark, request)
              .driftBound(driftBound)
              .progress(Terminal.progress())
              .execute();
      System.out.println(Summary.of(result));
    }
    return 0;
  }
}
