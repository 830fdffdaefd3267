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
import java.util.Comparator;
import java.util.List;
import java.util.TreeMap;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/** How the union grows with the batch, by layer, against independent rows. */
final class UnionFinding {
  private final Evidence runs;
  private final String main;

  UnionFinding(Evidence runs) {
    this.runs = runs;
    this.main = runs.main();
  }

  Finding finding() {
    String question = "How does the union grow with the batch?";
    if (main == null) {
      return Evidence.nothing("unions", question, "No sparse decode step ran.", "There is no union to follow.");
    }
    DataTable table =
        DataTable.of(
            "Method", "#Batch", "#Layer", "#Steps", "#Own density", "#Union density", "#If independent");
    runs.cells().forEach(
        c ->
            table.row(
                c.label(),
                count(c.batchSize()),
                count(c.layer()),
                count(c.steps()),
                density(c.ownDensity()),
                density(c.unionDensity()),
                density(c.independent())));
    TreeMap<Integer, List<Savings.Cell>> byBatch =
        runs.cells(main).stream()
            .collect(
                Collectors.groupingBy(
                    Savings.Cell::batchSize, TreeMap::new, Collectors.toList()));
    List<List<Savings.Cell>> batches = List.copyOf(byBatch.values());
    int common = Replay.commonBatch(runs.cells(main));
    List<Savings.Cell> there = byBatch.get(common);
    double union = mean(there, Savings.Cell::unionDensity);
    double independent = mean(there, Savings.Cell::independent);
    Comparator<Savings.Cell> overlap =
        Comparator.comparingDouble(c -> c.unionDensity() - c.independent());
    Savings.Cell together = there.stream().min(overlap).get();
    Savings.Cell apart = there.stream().max(overlap).get();
    return new Finding(
        "unions",
        question,
        List.of(
            new Chart(
                Kind.LINES,
                "Union density by batch size, " + main,
                new Axis("Sequences in the step", Unit.NUMBER),
                new Axis("Union density", Unit.SHARE),
                byBatch.keySet().stream().map(Object::toString).toList(),
                List.of(
                    Series.measured("densest layer", max(batches)),
                    Series.measured("mean of layers", means(batches, Savings.Cell::unionDensity)),
                    Series.measured("sparsest layer", min(batches)),
                    Series.reference(
                        "independent rows, 1-(1-r)^B", means(batches, Savings.Cell::independent)))),
            new Chart(
                Kind.BARS,
                format("Union density by layer, %s, %d in a step", main, common),
                new Axis("Layer", Unit.NUMBER),
                new Axis("Union density", Unit.SHARE),
                there.stream().map(c -> Integer.toString(c.layer())).toList(),
                List.of(
                    Series.measured("recorded", values(there, Savings.Cell::unionDensity)),
                    Series.reference("independent rows", values(there, Savings.Cell::independent))))),
        List.of(
            format(
                "With %d in a step a sequence of %s called %s of the rows and its batch loaded %s, where"
                    + " rows called independently would have made that %s.",
                common,
                main,
                percent(mean(there, Savings.Cell::ownDensity)),
                percent(union),
                percent(independent)),
            common == 1
                ? "A batch of one loads what its sequence calls; larger batches did not run often enough to"
                    + " compare."
                : format(
                    "Layer %d is furthest below that law (%s for %s), layer %d nearest to it or above (%s for"
                        + " %s).",
                    together.layer(),
                    finePercent(together.unionDensity()),
                    finePercent(together.independent()),
                    apart.layer(),
                    finePercent(apart.unionDensity()),
                    finePercent(apart.independent()))),
        table,
        false);
  }

  private static double[] means(
      List<List<Savings.Cell>> batches, ToDoubleFunction<Savings.Cell> value) {
    return batches.stream().mapToDouble(batch -> mean(batch, value)).toArray();
  }

  private static double[] max(List<List<Savings.Cell>> batches) {
    return batches.stream()
        .mapToDouble(b -> b.stream().mapToDouble(Savings.Cell::unionDensity).max().getAsDouble())
        .toArray();
  }

  private static double[] min(List<List<Savings.Cell>> batches) {
    return batches.stream()
        .mapToDouble(b -> b.stream().mapToDouble(Savings.Cell::unionDensity).min().getAsDouble())
        .toArray();
  }
}
