package io.rollcall.jobs.command;

import io.rollcall.jobs.generate.GenerateResult;
import io.rollcall.jobs.generate.RunTotals;
import java.util.Locale;

/** What a run did, for a person. */
final class Summary {
  private Summary() {}

  static String of(GenerateResult result) {
    RunTotals totals = result.totals();
    StringBuilder text = new StringBuilder();
    line(text, "Run %s: %,d prompts in %.1f s", result.runId(), totals.rows(), result.wallSeconds());
    if (result.skipped() > 0) {
      text.append(String.format(Locale.ROOT, ", %,d already there", result.skipped()));
    }
    if (totals.errorRows() > 0) {
      line(text, "\n%,d error rows:", totals.errorRows());
      totals.errors().forEach((kind, count) -> line(text, "\n  %,d x %s", count, kind));
    }
    line(
        text,
        "\n%,d prompt tokens, %,d generated; per task %,.0f prefill and %,.0f decode tokens/s",
        totals.promptTokens(),
        totals.outputTokens(),
        totals.times().prefillTokensPerSecond(),
        totals.times().decodeTokensPerSecond());
    if (totals.bytesDense() > 0) {
      line(
          text,
          "\n%s, union %s: mean union density %.2f, %.0f %% of the feed-forward bytes saved",
          result.profile().method(),
          result.profile().union(),
          totals.unionDensity(),
          100.0 * (totals.bytesDense() - totals.bytesRead()) / totals.bytesDense());
    }
    totals.devices()
        .forEach(
            device ->
                line(text, "\nOn %s, weights %s, %,d tasks", device.name(), device.weights(), device.tasks()));
    line(text, "\nTables: %1$s/generations, %1$s/sparsity; record: %1$s/runs/%2$s.json",
        result.output(), result.runId());
    if (result.warning() != null) {
      line(text, "\nNote: %s", result.warning());
    }
    return text.toString();
  }

  private static void line(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format, values));
  }
}
