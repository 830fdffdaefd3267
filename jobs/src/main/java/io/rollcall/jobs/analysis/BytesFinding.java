package io.rollcall.jobs.analysis;

import static io.rollcall.jobs.analysis.Evidence.values;
import static io.rollcall.jobs.analysis.Numbers.count;
import static io.rollcall.jobs.analysis.Numbers.density;
import static io.rollcall.jobs.analysis.Numbers.finePercent;
import static io.rollcall.jobs.analysis.Numbers.format;
import static io.rollcall.jobs.analysis.Numbers.percent;
import static io.rollcall.jobs.analysis.Numbers.size;

import io.rollcall.jobs.analysis.Chart.Axis;
import io.rollcall.jobs.analysis.Chart.Kind;
import io.rollcall.jobs.analysis.Chart.Series;
import io.rollcall.jobs.analysis.Chart.Unit;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/** Where the bytes went, by layer and method. */
final class BytesFinding {
  private final Evidence runs;
  private final String main;

  BytesFinding(Evidence runs) {
    this.runs = runs;
    this.main = runs.main();
  }

  Finding finding() {
    String question = "Where do the bytes go?";
    if (main == null) {
      return Evidence.nothing("bytes", question, "No sparse decode step ran.", "All feed-forward bytes are dense's.");
    }
    Map<String, List<Savings.Layer>> byLabel = runs.sparseLayers();
    DataTable table =
        DataTable.of(
            "Method", "#Layer", "#Own density", "#Union density", "#Read", "#Dense", "#Saved", "#Dense in bf16");
    byLabel.values().stream()
        .flatMap(List::stream)
        .forEach(
            l ->
                table.row(
                    l.label(),
                    count(l.layer()),
                    density(l.ownDensity()),
                    density(l.unionDensity()),
                    size(l.bytesRead()),
                    size(l.bytesDense()),
                    percent(1 - l.read()),
                    size(l.bytesBf16())));
    List<Savings.Layer> mine = byLabel.get(main);
    long read = mine.stream().mapToLong(Savings.Layer::bytesRead).sum();
    long dense = mine.stream().mapToLong(Savings.Layer::bytesDense).sum();
    long bf16 = mine.stream().mapToLong(Savings.Layer::bytesBf16).sum();
    Savings.Layer least = mine.stream().max(Comparator.comparingDouble(Savings.Layer::read)).get();
    Savings.Layer most = mine.stream().min(Comparator.comparingDouble(Savings.Layer::read)).get();
    String quantised =
        bf16 == dense ? "" : format(", %s against dense in bf16", percent(1 - (double) read / bf16));
    return new Finding(
        "bytes",
        question,
        List.of(
            new Chart(
                Kind.BARS,
                "Feed-forward bytes read, of dense",
                new Axis("Layer", Unit.NUMBER),
                new Axis("Of dense", Unit.SHARE),
                Evidence.layerNames(byLabel.values()),
                byLabel.entrySet().stream()
                    .map(e -> Series.measured(e.getKey(), values(e.getValue(), Savings.Layer::read)))
                    .toList())),
        List.of(
            format(
                "%s read %s of feed-forward weights where dense would have read %s: %s saved%s.",
                main, size(read), size(dense), percent(1 - (double) read / dense), quantised),
            most.layer() == least.layer()
                ? format("It has one layer, of union density %s.", density(most.unionDensity()))
                : format(
                    "Layer %d saved most, %s, and layer %d least, %s.",
                    most.layer(),
                    finePercent(1 - most.read()),
                    least.layer(),
                    finePercent(1 - least.read()))),
        table,
        false);
  }
}
