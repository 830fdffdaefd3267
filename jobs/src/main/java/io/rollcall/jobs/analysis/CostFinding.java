package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;

import io.rollcall.jobs.analysis.Chart.Axis;
import io.rollcall.jobs.analysis.Chart.Kind;
import io.rollcall.jobs.analysis.Chart.Series;
import io.rollcall.jobs.analysis.Chart.Unit;
import java.util.List;

/** What a million generated tokens cost, dense and sparse. */
final class CostFinding {
  private final Evidence runs;
  private final String main;

  CostFinding(Evidence runs) {
    this.runs = runs;
    this.main = runs.main();
  }

  Finding finding() {
    String question = "What does a million tokens cost?";
    List<Cost> costs = Cost.of(runs.savings(), runs.evaluated());
    if (costs.isEmpty()) {
      return Evidence.nothing("cost", question, "No sparse run has generated tokens.", "There is nothing to compare.");
    }
    String unit = runs.hourPrice().isPresent() ? "Cost" : "Device hours";
    DataTable table =
        DataTable.of("Method", "#" + unit + ", sparse", "#" + unit + ", dense", "#Saved", "Dense is");
    for (Cost cost : costs) {
      table.row(
          cost.label(),
          worth(cost.hours()),
          worth(cost.denseHours()),
          percent(1 - cost.seconds() / cost.denseSeconds()),
          cost.basis().toString());
    }
    Cost shown =
        costs.stream().filter(cost -> cost.label().equals(main)).findFirst().orElse(costs.get(0));
    double saved = 1 - shown.seconds() / shown.denseSeconds();
    return new Finding(
        "cost",
        question,
        List.of(
            new Chart(
                Kind.BARS,
                unit + " of a million generated tokens",
                new Axis("", Unit.NUMBER),
                new Axis(unit, Unit.NUMBER),
                costs.stream().map(Cost::label).toList(),
                List.of(
                    Series.measured(
                        "sparse",
                        costs.stream().mapToDouble(c -> money(c.hours())).toArray()),
                    Series.reference(
                        "dense",
                        costs.stream()
                            .mapToDouble(c -> money(c.denseHours()))
                            .toArray())))),
        List.of(
            format(
                "A million generated tokens, their prompts included, took %s device hours with %s%s and"
                    + " take dense %s%s (%s).",
                hours(shown.hours()),
                shown.label(),
                price(shown.hours()),
                hours(shown.denseHours()),
                price(shown.denseHours()),
                shown.basis()),
            format(
                "That is %s %s%s.",
                percent(Math.abs(saved)),
                saved >= 0 ? "saved" : "more than dense",
                runs.hourPrice().isPresent()
                    ? format(
                        ", at a price of %.2f for a device hour", runs.hourPrice().getAsDouble())
                    : "; a device hour is one in which a task kept its device busy")),
        table,
        shown.basis() != Cost.Basis.MEASURED);
  }

  /** In money where there is a price, else in hours. */
  private double money(double hours) {
    return hours * runs.hourPrice().orElse(1);
  }

  private String worth(double hours) {
    return runs.hourPrice().isPresent() ? format("%.2f", money(hours)) : hours(hours);
  }

  private String price(double hours) {
    return runs.hourPrice().isPresent() ? format(" (%.2f)", money(hours)) : "";
  }

  private static String hours(double hours) {
    return format(hours < 0.1 ? "%.4f" : "%.2f", hours);
  }
}
