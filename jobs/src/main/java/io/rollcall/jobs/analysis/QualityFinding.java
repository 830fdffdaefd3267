package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Numbers.finePercent;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import io.rollcall.jobs.evaluate.Metrics;
import java.util.List;

/** What the bytes saved cost in quality. */
final class QualityFinding {
  private final Evidence runs;
  private final String main;

  QualityFinding(Evidence runs) {
    this.runs = runs;
    this.main = runs.main();
  }

  Finding finding() {
    String question = "What did it cost in quality?";
    List<Metrics> sparse = runs.evaluated().stream().filter(m -> m.sparsity() > 0).toList();
    if (sparse.isEmpty()) {
      return Evidence.nothing(
          "quality",
          question,
          "There is no evaluation of these runs.",
          "The evaluate command compares profiles with dense on documents that have reference answers.");
    }
    DataTable table = QualityCharts.table(sparse);
    Run run = main == null ? null : runs.last(main);
    String known =
        run == null
            ? "No sparse run is there to compare."
            : Quality.of(run, runs.evaluated())
                .map(
                    q ->
                        format(
                            "Evaluated as it ran, %s loses %s of perplexity (%s to %s with 95 %% confidence) for"
                                + " %s of dense's bytes.",
                            main,
                            finePercent(q.of().perplexityLoss()),
                            finePercent(q.of().perplexityLossInterval().low()),
                            finePercent(q.of().perplexityLossInterval().high()),
                            percent(q.of().bytesToDense())))
                .orElse(
                    format(
                        "None of them is %s at batch %d as it ran, so its own loss is not known.",
                        main, run.batchSize()));
    return new Finding(
        "quality",
        question,
        List.of(QualityCharts.bytesAgainstLoss("Loss against bytes", sparse)),
        List.of(QualityCharts.best(sparse, 0.05), known),
        table,
        false);
  }
}
