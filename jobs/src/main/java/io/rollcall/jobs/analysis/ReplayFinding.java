package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Numbers.count;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;
import static io.rollcall.jobs.analysis.Numbers.size;

import io.rollcall.jobs.analysis.Chart.Axis;
import io.rollcall.jobs.analysis.Chart.Kind;
import io.rollcall.jobs.analysis.Chart.Series;
import io.rollcall.jobs.analysis.Chart.Unit;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** What other batch sizes or budgets would have read. */
final class ReplayFinding {
  private static final int[] BATCHES = {1, 2, 4, 8, 16, 32, 64};
  private static final double[] BUDGETS = {0.3, 0.5, 0.7};

  private final Evidence runs;
  private final String main;

  ReplayFinding(Evidence runs) {
    this.runs = runs;
    this.main = runs.main();
  }

  Finding finding() {
    String question = "What would other batch sizes or budgets have saved?";
    if (main == null) {
      return Evidence.nothing("replay", question, "No sparse decode step ran.", "There is nothing to replay.");
    }
    DataTable table =
        DataTable.of("Method", "#Batch", "Union", "#Read of dense", "#Saved", "#Bytes a token", "Kind");
    List<Series> series = new ArrayList<>();
    runs.cells().stream()
        .map(Savings.Cell::label)
        .distinct()
        .forEach(label -> replay(label, table, label.equals(main) ? series : new ArrayList<>()));
    Replay replay = runs.replay(main);
    int base = replay.baseBatch();
    int twice = 2 * base;
    double tightest = BUDGETS[0];
    return new Finding(
        "replay",
        question,
        List.of(
            new Chart(
                Kind.LINES,
                "Estimated feed-forward bytes read, of dense: " + main,
                new Axis("Sequences in the step", Unit.NUMBER),
                new Axis("Of dense", Unit.SHARE),
                Arrays.stream(BATCHES).mapToObj(Integer::toString).toList(),
                series)),
        List.of(
            format(
                "At the thresholds of batch %d, %d in a step would have read about %s of dense's bytes"
                    + " instead of the recorded %s; that is %s a token instead of %s.",
                base,
                twice,
                percent(replay.read(twice, 1)),
                percent(runs.recorded(main, base)),
                size(replay.read(twice, 1) * replay.denseStepBytes() / twice),
                size(runs.recorded(main, base) * replay.denseStepBytes() / base)),
            tightest < replay.budget()
                ? format(
                    "A budget of %s of the rows would have read about %s at batch %d, at a loss of quality that"
                        + " only evaluate can tell.",
                    percent(tightest), percent(replay.read(base, tightest)), base)
                : format(
                    "The run's own budget, %s of the rows, is below all that are replayed here.",
                    percent(replay.budget()))),
        table,
        true);
  }

  private void replay(String label, DataTable table, List<Series> series) {
    Replay replay = runs.replay(label);
    int base = replay.baseBatch();
    series.add(estimates("thresholds as they were", label, replay, 1, table));
    for (double budget : BUDGETS) {
      if (budget < replay.budget()) {
        series.add(estimates("budget:" + budget, label, replay, budget, table));
      }
    }
    double recorded = runs.recorded(label, base);
    table.row(
        label,
        count(base),
        runs.savings().runs(label).get(0).union(),
        percent(recorded),
        percent(1 - recorded),
        size(recorded * replay.denseStepBytes() / base),
        "recorded");
    double[] point = new double[BATCHES.length];
    for (int i = 0; i < point.length; i++) {
      point[i] = BATCHES[i] == base ? recorded : Double.NaN;
    }
    series.add(Series.measured("recorded", point));
  }

  private static Series estimates(
      String union, String label, Replay replay, double fraction, DataTable table) {
    double[] read = new double[BATCHES.length];
    for (int i = 0; i < read.length; i++) {
      read[i] = replay.read(BATCHES[i], fraction);
      table.row(
          label,
          count(BATCHES[i]),
          union,
          percent(read[i]),
          percent(1 - read[i]),
          size(read[i] * replay.denseStepBytes() / BATCHES[i]),
          "estimate");
    }
    return Series.reference(union, read);
  }
}
