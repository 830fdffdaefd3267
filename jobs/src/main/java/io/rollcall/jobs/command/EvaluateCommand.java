package io.rollcall.jobs.command;

import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.evaluate.EvaluateAction;
import io.rollcall.jobs.evaluate.EvaluateRequest;
import io.rollcall.jobs.generate.SparsityRequest;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code rollcall evaluate}. */
@Command(
    name = "evaluate",
    description = "Compares sparsity profiles with dense on documents that have reference answers, and"
        + " says which to adopt: perplexity, token accuracy and KL divergence from dense where the"
        + " reference is decoded token by token, ROUGE-L and sameness of greedy answers, densities,"
        + " bytes and speed.",
    footer = {
      "",
      "--methods at --sparsities get thresholds as in generate, from held-out documents: the first 64"
          + " by a hash of the id, at most a quarter of all. They are not evaluated. Their profiles"
          + " are written to OUTPUT/profiles.",
      "Every counted step has --batch-size documents in flight, so that unions are real; the last"
          + " steps of a task, which have fewer, are listed by their own size. The crossover to dense"
          + " is left out, since it is a machine's.",
      "The documents pass through the driver: --limit takes a sample of a large table.",
      "",
      "Example: rollcall evaluate --input docs.parquet --references-column summary --batch-size 8"
          + " --methods m-countdown,cats --sparsities 0.3,0.5 --output quality"
    })
final class EvaluateCommand implements Callable<Integer> {
  @Mixin private InputOptions input;

  @Option(
      names = "--references-column",
      required = true,
      paramLabel = "NAME",
      description = "the answer that each prompt should get")
  private String references;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "DIR",
      description = "directory of metrics.json and profiles, on any Hadoop file system; an earlier"
          + " evaluation's are overwritten")
  private String output;

  @Mixin private ModelOptions model;

  @Option(
      names = "--profile",
      paramLabel = "FILE",
      description = "thresholds found before; may be repeated (default: the model's own profile,"
          + " where nothing is asked for)")
  private List<String> profiles = List.of();

  @Option(
      names = "--methods",
      split = ",",
      paramLabel = "METHOD",
      description = "comma-separated: cats, m-countdown, d-countdown-oracle, s-countdown-oracle; dense"
          + " is there anyway")
  private List<String> methods = List.of();

  @Option(
      names = "--sparsities",
      split = ",",
      paramLabel = "S",
      description = "fractions of neurons dropped, comma-separated: each method at each of them")
  private List<Double> sparsities = List.of();

  @Option(
      names = "--union",
      paramLabel = "UNION",
      description = "of --methods: own, shared or budget:FRACTION (default: shared)")
  private String union;

  @Option(
      names = "--max-loss",
      paramLabel = "F",
      description = "rise of perplexity that a profile to adopt may cost, the upper end of its"
          + " interval: 0.05 for 5 %% (default: ${DEFAULT-VALUE})")
  private double maxLoss;

  @Mixin private AnswerOptions answers;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "of the intervals' samples (default: ${DEFAULT-VALUE})")
  private long seed;

  @Option(
      names = "--partitions",
      paramLabel = "N",
      description = "tasks to split the documents over; 0 chooses by documents and cores")
  private int partitions;

  @Override
  public Integer call() throws IOException {
    EvaluateRequest request =
        new EvaluateRequest(
            input.source(),
            references,
            output,
            model.source(),
            SparsityOptions.usage(this::sparsities),
            maxLoss,
            answers.greedy(seed),
            partitions);
    try (SparkSession spark = Sessions.open("evaluate")) {
      System.out.println(
          new EvaluateAction(spark, request)
              .progress(Terminal.progress())
              .execute()
              .text());
    }
    return 0;
  }

  private List<SparsityRequest> sparsities() {
    return EvaluateRequest.sparsities(
        profiles,
        methods.stream().map(Method::parse).toList(),
        sparsities,
        union == null ? null : UnionStrategy.parse(union));
  }
}
