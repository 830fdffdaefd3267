package io.rollcall.jobs.command;

import io.rollcall.jobs.report.ReportAction;
import io.rollcall.jobs.report.ReportRequest;
import io.rollcall.jobs.report.ReportResult;
import java.io.IOException;
import java.util.List;
import java.util.OptionalDouble;
import java.util.concurrent.Callable;
import org.apache.spark.sql.SparkSession;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code rollcall report}. */
@Command(
    name = "report",
    description = "Writes one self-contained HTML page on what runs saved and what it cost: bytes by layer,"
        + " unions, the crossover, other batch sizes, device hours, drift, quality, slow partitions and"
        + " errors.",
    footer = {
      "",
      "The page needs no network. Quality is taken from --evaluation, and from metrics.json where an"
          + " OUTPUT has one. Dense runs among the inputs are what costs are compared with.",
      "",
      "Example: rollcall report --input summaries --evaluation quality --output savings.html"
    })
final class ReportCommand implements Callable<Integer> {
  @Option(
      names = "--input",
      required = true,
      split = ",",
      paramLabel = "OUTPUT",
      description = "folders that generate or demo wrote, comma-separated, on any Hadoop file system")
  private List<String> inputs;

  @Option(
      names = "--output",
      required = true,
      paramLabel = "FILE.html",
      description = "the page, on any Hadoop file system; an earlier one is overwritten")
  private String output;

  @Option(
      names = "--evaluation",
      split = ",",
      paramLabel = "DIR",
      description = "folders that evaluate wrote, comma-separated")
  private List<String> evaluations = List.of();

  @Option(
      names = "--price-per-gpu-hour",
      paramLabel = "P",
      description = "puts costs into money: the price of an hour of what a task computes on (default:"
          + " costs are in device hours)")
  private Double price;

  @Override
  public Integer call() throws IOException {
    ReportRequest request =
        new ReportRequest(
            inputs,
            output,
            evaluations,
            price == null ? OptionalDouble.empty() : OptionalDouble.of(price));
    try (SparkSession spark = Sessions.open("report")) {
      ReportResult result = new ReportAction(spark, request).execute();
      System.out.printf("%s. %s%nReport: %s%n", result.headline(), result.lead(), result.page());
    }
    return 0;
  }
}
