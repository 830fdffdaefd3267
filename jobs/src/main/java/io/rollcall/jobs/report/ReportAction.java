package io.rollcall.jobs.report;

import io.rollcall.jobs.analysis.Evaluations;
import io.rollcall.jobs.analysis.Savings;
import io.rollcall.jobs.analysis.SavingsFindings;
import io.rollcall.jobs.evaluate.Metrics;
import io.rollcall.jobs.runtime.TextFile;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import org.apache.spark.SparkContext;
import org.apache.spark.sql.SparkSession;

/**
 * Writes one self-contained page on what runs saved.
 *
 * <pre>{@code
 * ReportResult result = new ReportAction(spark, request).execute();
 * }</pre>
 */
public final class ReportAction {
  private final SparkSession spark;
  private final ReportRequest request;

  public ReportAction(SparkSession spark, ReportRequest request) {
    this.spark = spark;
    this.request = request;
  }

  /**
   * @throws io.rollcall.engine.UserException for a folder that is no output or evaluation, tables
   *     without rows, or a page that cannot be written
   */
  public ReportResult execute() {
    SparkContext context = spark.sparkContext();
    context.setJobGroup(
        "rollcall report", "rollcall report: " + String.join(", ", request.inputs()), true);
    try {
      Savings savings = Savings.open(spark, request.inputs());
      List<Metrics> evaluated = evaluated();
      ReportPage page =
          new ReportPage(
              savings, new SavingsFindings(savings, evaluated, request.hourPrice()), evaluated);
      TextFile.write(
          "report",
          request.output(),
          page.html().getBytes(StandardCharsets.UTF_8),
          spark.sessionState().newHadoopConf());
      return new ReportResult(request.output(), page.headline(), page.lead());
    } finally {
      context.clearJobGroup();
    }
  }

  /** Of the evaluations named, and of one that lies in an output itself. */
  private List<Metrics> evaluated() {
    Set<String> folders = new LinkedHashSet<>(request.evaluations());
    request.inputs().stream()
        .filter(input -> Evaluations.exists(spark, input))
        .forEach(folders::add);
    return Evaluations.read(spark, List.copyOf(folders));
  }
}
