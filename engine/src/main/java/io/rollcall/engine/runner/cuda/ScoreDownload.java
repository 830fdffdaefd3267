package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.runner.DecodeSequence;
import io.rollcall.engine.sparsity.BatchBuckets;
import io.rollcall.kernels.cuda.DecodeFeedForward;
import io.rollcall.kernels.cuda.DeviceBuffer;
import io.rollcall.kernels.cuda.PinnedBuffer;
import io.rollcall.kernels.cuda.StepState;
import java.nio.FloatBuffer;
import java.util.List;

/** Brings a method's scores to the host, layer by layer, for whoever calibrates. */
final class ScoreDownload {
  private final RunnerState runner;
  private final DecodeFeedForward feedForward;
  private final Observation observation;
  private final DeviceRule rule;
  private final DeviceBuffer records;
  private final PinnedBuffer host;
  private final float[] scores;

  ScoreDownload(
      RunnerState runner, DecodeFeedForward feedForward, Observation observation, int rows) {
    this.runner = runner;
    this.feedForward = feedForward;
    this.observation = observation;
    Allocations held = runner.held;
    int f = runner.config.intermediateSize();
    rule = DeviceRule.observing(runner.model, observation.method(), held, runner.stream);
    records =
        held.device(
            "records of observed steps",
            (long) runner.config.layers() * StepState.RECORD_STRIDE * Integer.BYTES);
    runner.stream.zero(records, 0, records.bytes());
    host = held.pinned((long) DecodeFeedForward.tile(rows) * f * Float.BYTES);
    scores = new float[rows * f];
  }

  void begin(List<DecodeSequence> sequences) {
    observation.observer().begin(sequences);
  }

  /**
   * Computes the scores of a layer's input and shows them.
   *
   * @param call of the step that follows
   * @param batch sequences, without padding
   */
  void show(DecodeFeedForward.Call call, int batch) {
    int f = runner.config.intermediateSize();
    int tile = DecodeFeedForward.tile(call.batch());
    feedForward.score(
        runner.stream,
        new DecodeFeedForward.Call(
            rule.layers().get(call.index()), call.index(), call.layers(), rule.rule(), call.x(),
            call.batch(), call.state(), records, call.y()));
    runner.stream.download(
        host, 0, feedForward.scores(), 0, (long) tile * f * Float.BYTES);
    runner.stream.synchronize();
    FloatBuffer found = host.bytes().asFloatBuffer();
    for (int i = 0; i < f; i++) {
      for (int b = 0; b < batch; b++) {
        scores[b * f + i] = found.get(i * tile + b);
      }
    }
    observation
        .observer()
        .observe(
            call.index(),
            BatchBuckets.of(batch),
            scores,
            batch,
            rule.scales() == null ? null : rule.scales().get(call.index()));
  }
}
