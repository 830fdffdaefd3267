package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Evidence.mean;
import static io.rollcall.jobs.analysis.Evidence.values;
import static io.rollcall.jobs.analysis.Numbers.count;
import static io.rollcall.jobs.analysis.Numbers.density;
import static io.rollcall.jobs.analysis.Numbers.finePercent;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import io.rollcall.jobs.analysis.Chart.Axis;
import io.rollcall.jobs.analysis.Chart.Kind;
import io.rollcall.jobs.analysis.Chart.Series;
import io.rollcall.jobs.analysis.Chart.Unit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;

/** Which layers crossed over to dense, and why. */
final class CrossoverFinding {
  private final Evidence runs;
  private final String main;

  CrossoverFinding(Evidence runs) {
    this.runs = runs;
    this.main = runs.main();
  }

  Finding finding() {
    String question = "Which layers crossed over to dense?";
    if (main == null) {
      return Evidence.nothing("crossover", question, "No sparse decode step ran.", "Nothing could cross over.");
    }
    Map<String, List<Savings.Layer>> byLabel = runs.sparseLayers();
    DataTable table =
        DataTable.of("Method", "#Layer", "#Steps", "#Ran dense", "#Union density", "#Crossover");
    int common = Replay.commonBatch(runs.cells(main));
    byLabel.forEach(
        (label, all) ->
            all.forEach(
                l ->
                    table.row(
                        label,
                        count(l.layer()),
                        count(l.steps()),
                        percent((double) l.denseSteps() / l.steps()),
                        density(l.unionDensity()),
                        crossoverOf(label, l.layer()))));
    List<Savings.Layer> mine = byLabel.get(main);
    List<Savings.Layer> crossed =
        mine.stream().filter(l -> 2 * l.denseSteps() >= l.steps()).toList();
    List<Savings.Cell> there =
        runs.cells(main).stream().filter(c -> c.batchSize() == common).toList();
    OptionalDouble crossover = runs.last(main).crossover(common);
    boolean measured = runs.last(main).crossoverMeasured();
    double share = (double) mine.stream().mapToLong(Savings.Layer::denseSteps).sum() / mine.stream().mapToLong(Savings.Layer::steps).sum();
    List<Chart> charts = new ArrayList<>();
    charts.add(
        new Chart(
            Kind.BARS,
            "Steps that ran dense",
            new Axis("Layer", Unit.NUMBER),
            new Axis("Of the steps", Unit.SHARE),
            Evidence.layerNames(byLabel.values()),
            byLabel.entrySet().stream()
                .map(
                    e ->
                        Series.measured(
                            e.getKey(),
                            values(e.getValue(), l -> (double) l.denseSteps() / l.steps())))
                .toList()));
    if (crossover.isPresent()) {
      charts.add(
          new Chart(
              Kind.BARS,
              format("Union density and crossover, %s, %d in a step", main, common),
              new Axis("Layer", Unit.NUMBER),
              new Axis("Union density", Unit.SHARE),
              there.stream().map(c -> Integer.toString(c.layer())).toList(),
              List.of(
                  Series.measured("mean union", values(there, Savings.Cell::unionDensity)),
                  Series.reference(
                      measured ? "crossover measured" : "crossover given",
                      values(there, any -> crossover.getAsDouble())))));
    }
    return new Finding(
        "crossover",
        question,
        charts,
        List.of(
            crossed.isEmpty()
                ? format(
                    "No layer of %s ran dense in half of its steps; over all layers %s of the steps did.",
                    main, finePercent(share))
                : format(
                    "%s of %s ran dense in at least half of their steps; over all layers %s of the steps"
                        + " did.",
                    layerList(crossed), main, finePercent(share)),
            crossover.isPresent()
                ? format(
                    measured
                        ? "With %d in a step the dense kernel was measured to be faster from a union of %s on,"
                            + " and unions had %s on average."
                        : "With %d in a step layers were to run dense from a union of %s on, and unions had"
                            + " %s on average.",
                    common,
                    percent(crossover.getAsDouble()),
                    percent(mean(there, Savings.Cell::unionDensity)))
                : format(
                    measured
                        ? "With %d in a step no union density was measured from which the dense kernel would"
                            + " be faster; unions had %s on average."
                        : "With %d in a step no layer was to run dense; unions had %s on average.",
                    common, percent(mean(there, Savings.Cell::unionDensity)))),
        table,
        false);
  }

  private String crossoverOf(String label, int layer) {
    List<Savings.Cell> mine =
        runs.cells().stream().filter(c -> c.label().equals(label) && c.layer() == layer).toList();
    OptionalDouble crossover = runs.last(label).crossover(Replay.commonBatch(mine));
    return crossover.isPresent() ? density(crossover.getAsDouble()) : "never";
  }

  private static String layerList(List<Savings.Layer> crossed) {
    List<String> names = crossed.stream().map(l -> Integer.toString(l.layer())).toList();
    return names.size() == 1
        ? "Layer " + names.get(0)
        : "Layers "
            + String.join(", ", names.subList(0, names.size() - 1))
            + " and "
            + names.get(names.size() - 1);
  }
}
