package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Numbers.finePercent;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import io.rollcall.jobs.evaluate.Metrics;
import java.util.List;

/** What the bytes saved cost in quality. */
final class QualityFinding {
  private final Evidence runs;

  QualityFinding(Evidence runs) {
    this.runs = runs;
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
    String known =
        runs.known()
            .map(
                run -> {
                  Metrics of = runs.quality(run).orElseThrow().of();
                  return format(
                      "Evaluated as it ran, %s loses %s of perplexity (%s with 95 %% confidence) for %s of"
                          + " dense's bytes.",
                      runs.savings().label(run),
                      finePercent(of.perplexityLoss()),
                      QualityCharts.interval(of),
                      percent(of.bytesToDense()));
                })
            .orElse("None of them is a run of these as it ran, so its own loss is not known.");
    return new Finding(
        "quality",
        question,
        List.of(QualityCharts.bytesAgainstLoss("Loss against bytes", sparse)),
        List.of(QualityCharts.best(sparse, 0.05), known),
        table,
        false);
  }
}
