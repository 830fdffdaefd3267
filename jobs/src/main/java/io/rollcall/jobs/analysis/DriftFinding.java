package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Evidence.values;
import static io.rollcall.jobs.analysis.Numbers.count;
import static io.rollcall.jobs.analysis.Numbers.finePercent;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import io.rollcall.jobs.analysis.Chart.Axis;
import io.rollcall.jobs.analysis.Chart.Kind;
import io.rollcall.jobs.analysis.Chart.Series;
import io.rollcall.jobs.analysis.Chart.Unit;
import java.util.Comparator;
import java.util.List;

/** How far own densities are from the calibration's, over runs. */
final class DriftFinding {
  private final Evidence runs;

  DriftFinding(Evidence runs) {
    this.runs = runs;
  }

  Finding finding() {
    String question = "Did prompts drift from the calibration?";
    List<Run> drifted = runs.savings().runs().stream().filter(run -> !run.drift().isEmpty()).toList();
    if (drifted.isEmpty()) {
      return Evidence.nothing(
          "drift",
          question,
          "No run has a record of drift.",
          "Dense runs and profiles without densities of their calibration have none.");
    }
    DataTable table =
        DataTable.of(
            "Run", "Started", "Method", "#Own density", "#Calibrated", "#Worst layer", "#Of its bound");
    drifted.forEach(
        run -> {
          Run.DriftLayer worst = worst(run);
          table.row(
              run.runId(),
              run.started(),
              runs.savings().label(run),
              format("%.3f", own(run)),
              format("%.3f", calibrated(run)),
              count(worst.layer()),
              percent(worst.ofBound()));
        });
    Run last = drifted.get(drifted.size() - 1);
    Run.DriftLayer worst = worst(last);
    long past = drifted.stream().filter(run -> worst(run).ofBound() > 1).count();
    return new Finding(
        "drift",
        question,
        List.of(
            drifted.size() == 1
                ? driftByLayer(last)
                : new Chart(
                    Kind.LINES,
                    "Own density by run",
                    new Axis("Run started", Unit.NUMBER),
                    new Axis("Own density", Unit.SHARE),
                    drifted.stream().map(run -> shortTime(run.started())).toList(),
                    List.of(
                        Series.measured(
                            "called, mean of layers",
                            drifted.stream().mapToDouble(DriftFinding::own).toArray()),
                        Series.reference(
                            "calibrated",
                            drifted.stream().mapToDouble(DriftFinding::calibrated).toArray())))),
        List.of(
            format(
                "In the latest run (%s) a sequence called %s of the rows on average, where its calibration"
                    + " saw %s.",
                last.runId(), finePercent(own(last)), finePercent(calibrated(last))),
            Double.isNaN(worst.ofBound())
                ? "Its profile has no spread between prompts, so there is no bound to compare with."
                : format(
                    "Layer %d was furthest off, at %s of the bound that its calibration sets, and %s of %d runs"
                        + " had a layer past it.",
                    worst.layer(), percent(worst.ofBound()), past == 0 ? "none" : count(past), drifted.size())),
        table,
        false);
  }

  private Chart driftByLayer(Run run) {
    return new Chart(
        Kind.BARS,
        "Own density by layer, " + runs.savings().label(run),
        new Axis("Layer", Unit.NUMBER),
        new Axis("Own density", Unit.SHARE),
        run.drift().stream().map(layer -> Integer.toString(layer.layer())).toList(),
        List.of(
            Series.measured("called", values(run.drift(), Run.DriftLayer::ownDensity)),
            Series.reference("calibrated", values(run.drift(), Run.DriftLayer::calibrated))));
  }

  private static double own(Run run) {
    return run.drift().stream().mapToDouble(Run.DriftLayer::ownDensity).average().orElseThrow();
  }

  private static double calibrated(Run run) {
    return run.drift().stream().mapToDouble(Run.DriftLayer::calibrated).average().orElseThrow();
  }

  private static Run.DriftLayer worst(Run run) {
    return run.drift().stream()
        .max(
            Comparator.comparingDouble(
                layer -> Double.isNaN(layer.ofBound()) ? Math.abs(layer.deviation()) : layer.ofBound()))
        .orElseThrow();
  }

  /** 2026-11-22T10:51:12.437Z as 11-22 10:51. */
  private static String shortTime(String started) {
    return started.length() < 16 ? started : started.substring(5, 16).replace('T', ' ');
  }
}
