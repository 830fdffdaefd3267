package io.rollcall.jobs.generate;

import io.rollcall.engine.generation.PhaseTimes;
import io.rollcall.jobs.output.RunRecord;
import java.util.LinkedHashMap;
import java.util.Map;

/** A run's totals as the run record has them. */
final class TotalsRecord {
  private TotalsRecord() {}

  static void put(RunRecord record, RunTotals totals) {
    Map<String, Object> counts = new LinkedHashMap<>();
    counts.put("rows", totals.rows());
    counts.put("finish_reasons", totals.finishReasons());
    counts.put("errors", totals.errors());
    PhaseTimes times = totals.times();
    record
        .put("counts", counts)
        .put("prompt_tokens", totals.promptTokens())
        .put("output_tokens", totals.outputTokens())
        .put(
            "prefill",
            phase(times.prefillTokens(), times.prefillNanos(), times.prefillTokensPerSecond()))
        .put(
            "decode",
            phase(times.decodeTokens(), times.decodeNanos(), times.decodeTokensPerSecond()))
        .put("layers", totals.layers().stream().map(TotalsRecord::layer).toList())
        .put("bytes_read", totals.bytesRead())
        .put("bytes_dense", totals.bytesDense())
        .put("devices", totals.devices())
        .put("slowest_partitions", totals.slowest().stream().map(TotalsRecord::partition).toList());
  }

  private static Map<String, Object> layer(RunTotals.LayerTotals layer) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("layer", layer.layer());
    fields.put("steps", layer.steps());
    fields.put("own_density", layer.meanOwnDensity());
    fields.put("union_density", layer.meanUnionDensity());
    fields.put("dense_steps", layer.denseSteps());
    fields.put("bytes_read", layer.bytesRead());
    fields.put("bytes_dense", layer.bytesDense());
    return fields;
  }

  private static Map<String, Object> partition(PartitionTimes task) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("partition", task.partition());
    fields.put("host", task.host());
    fields.put("rows", task.rows());
    fields.put("prompt_tokens", task.promptTokens());
    fields.put("output_tokens", task.outputTokens());
    fields.put("prefill_seconds", task.times().prefillNanos() / 1e9);
    fields.put("decode_seconds", task.times().decodeNanos() / 1e9);
    return fields;
  }

  /** Busy seconds, summed over tasks; tokens per second are per task. */
  private static Map<String, Object> phase(long tokens, long nanos, double perSecond) {
    Map<String, Object> phase = new LinkedHashMap<>();
    phase.put("tokens", tokens);
    phase.put("seconds", nanos / 1e9);
    phase.put("tokens_per_second", perSecond);
    return phase;
  }
}
