package io.rollcall.jobs.training;

import io.rollcall.engine.calibration.DecodePositions;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.model.ModelConfig;
import io.rollcall.engine.training.SampleCollector;
import io.rollcall.jobs.generate.TaskFaults;
import io.rollcall.jobs.generate.TaskModel;
import io.rollcall.jobs.input.DocumentRows;
import io.rollcall.jobs.runtime.RollcallPlugin;
import io.rollcall.jobs.runtime.TaskProgress;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.Function2;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.sql.Row;
import scala.Tuple2;

/**
 * Gathers a partition's share of the decode positions: for each layer what {@link SampleCollector} has
 * of them, (layer, (partition, records)).
 */
final class GatherTask
    implements Function2<Integer, Iterator<Row>, Iterator<Tuple2<Integer, Tuple2<Integer, byte[]>>>> {
  private final Broadcast<Gathering> gathering;

  GatherTask(Broadcast<Gathering> gathering) {
    this.gathering = gathering;
  }

  @Override
  public Iterator<Tuple2<Integer, Tuple2<Integer, byte[]>>> call(
      Integer partition, Iterator<Row> rows) {
    return TaskFaults.rethrown(() -> gather(partition, rows, TaskContext.get()));
  }

  private Iterator<Tuple2<Integer, Tuple2<Integer, byte[]>>> gather(
      int partition, Iterator<Row> rows, TaskContext task) {
    Gathering work = gathering.value();
    long seed = work.setup().decoding().seed();
    List<Document> documents = DocumentRows.read(rows, work.references(), seed);
    TaskModel model = work.setup().lease(task);
    ModelConfig config = model.model().config();
    SampleCollector collector =
        new SampleCollector(
            work.thresholds(), work.share(), config.hiddenSize(), config.intermediateSize());
    DecodePositions positions = model.positions();
    if (work.references()) {
      positions.references(
          feed(documents, collector, partition, task), work.oracle(), null, collector);
    } else {
      positions.continuations(
          feed(documents, collector, partition, task), work.oracle(), null, collector);
    }
    int rounds = work.holdOut().holds(partition) ? 0 : work.continuations();
    for (int round = 1; round <= rounds && !collector.full(); round++) {
      positions
          .with(sampled(model.options(), seed + round))
          .continuations(
              feed(documents, collector, partition, task), work.oracle(), null, collector);
    }
    report(partition, collector);
    return IntStream.range(0, config.layers())
        .mapToObj(layer -> new Tuple2<>(layer, new Tuple2<>(partition, collector.records(layer))))
        .iterator();
  }

  private static GenerationOptions sampled(GenerationOptions greedy, long seed) {
    return new GenerationOptions(
        greedy.batchSize(), greedy.maxNewTokens(), greedy.context(), 1, 1, seed);
  }

  /** The documents until there are positions enough. */
  private Iterator<Document> feed(
      List<Document> documents, SampleCollector collector, int partition, TaskContext task) {
    Iterator<Document> all = documents.iterator();
    return new Iterator<>() {
      @Override
      public boolean hasNext() {
        task.killTaskIfInterrupted();
        return !collector.full() && all.hasNext();
      }

      @Override
      public Document next() {
        report(partition, collector);
        return all.next();
      }
    };
  }

  private void report(int partition, SampleCollector collector) {
    RollcallPlugin.report(
        new TaskProgress(gathering.value().runId(), partition, collector.count()));
  }
}
