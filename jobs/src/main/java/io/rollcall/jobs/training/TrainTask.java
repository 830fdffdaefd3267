package io.rollcall.jobs.training;

import io.rollcall.engine.training.LayerSamples;
import io.rollcall.engine.training.PredictorTrainer;
import io.rollcall.engine.training.TrainedPredictor;
import io.rollcall.engine.training.TrainingOptions;
import io.rollcall.jobs.runtime.RollcallPlugin;
import io.rollcall.jobs.runtime.TaskProgress;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.Function;
import scala.Tuple2;

/** Trains the predictor of one layer. */
final class TrainTask
    implements Function<Tuple2<Integer, Iterable<Tuple2<Integer, byte[]>>>, TrainedLayer> {
  private final String runId;
  private final TrainingOptions options;
  private final HeldOutPartitions holdOut;
  private final int hidden;
  private final int intermediate;

  TrainTask(
      String runId,
      TrainingOptions options,
      HeldOutPartitions holdOut,
      int hidden,
      int intermediate) {
    this.runId = runId;
    this.options = options;
    this.holdOut = holdOut;
    this.hidden = hidden;
    this.intermediate = intermediate;
  }

  @Override
  public TrainedLayer call(Tuple2<Integer, Iterable<Tuple2<Integer, byte[]>>> gathered) {
    int layer = gathered._1();
    TaskContext task = TaskContext.get();
    List<Tuple2<Integer, byte[]>> chunks = new ArrayList<>();
    gathered._2().forEach(chunks::add);
    // the shuffle brings them in any order
    chunks.sort(Comparator.comparingInt(Tuple2::_1));
    try (PredictorTrainer trainer = new PredictorTrainer(options, task.cpus())) {
      TrainedPredictor trained =
          trainer.train(
              samples(chunks, false),
              samples(chunks, true),
              (epoch, quality) -> {
                task.killTaskIfInterrupted();
                report(layer, epoch, quality.energy());
              });
      report(layer, options.epochs(), trained.quality().energy());
      return new TrainedLayer(layer, trained);
    }
  }

  private LayerSamples samples(List<Tuple2<Integer, byte[]>> chunks, boolean heldOut) {
    return new LayerSamples(
        hidden,
        intermediate,
        chunks.stream()
            .filter(chunk -> holdOut.holds(chunk._1()) == heldOut)
            .map(Tuple2::_2)
            .toList());
  }

  private void report(int layer, int epochs, double energy) {
    RollcallPlugin.report(new TaskProgress(runId, layer, epochs, 1, energy));
  }
}
