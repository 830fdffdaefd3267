package io.rollcall.jobs.recovery;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.recovery.CorrectionStatistics;
import io.rollcall.engine.recovery.LayerRange;
import io.rollcall.engine.recovery.RecoveryOptions;
import io.rollcall.engine.recovery.RecoveryPass;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.generate.TaskFaults;
import io.rollcall.jobs.runtime.RollcallPlugin;
import io.rollcall.jobs.runtime.TaskProgress;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.broadcast.Broadcast;

/** Gathers what a partition's documents say of some layers' errors. */
final class PassTask implements FlatMapFunction<Iterator<String[]>, PassTask.Gathered> {

  /**
   * What is to be gathered.
   *
   * @param profile with the corrections found so far
   */
  @DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
  record Wanted(SparsityProfile profile, LayerRange layers, RecoveryOptions options)
      implements Serializable {}

  /** @param layers of the range */
  @DefaultSerializer(JavaSerializer.class)
  record Gathered(List<CorrectionStatistics> layers) implements Serializable {

    Gathered plus(Gathered others) {
      return new Gathered(
          new ArrayList<>(
              IntStream.range(0, layers.size())
                  .mapToObj(i -> layers.get(i).plus(others.layers.get(i)))
                  .toList()));
    }
  }

  private final Broadcast<RecoveryWork> work;
  private final Broadcast<Wanted> wanted;

  PassTask(Broadcast<RecoveryWork> work, Broadcast<Wanted> wanted) {
    this.work = work;
    this.wanted = wanted;
  }

  @Override
  public Iterator<Gathered> call(Iterator<String[]> rows) {
    List<Document> documents = new ArrayList<>();
    rows.forEachRemaining(row -> documents.add(new Document(row[0], row[1], row[2])));
    return TaskFaults.rethrown(() -> gather(documents, TaskContext.get()));
  }

  private Iterator<Gathered> gather(List<Document> documents, TaskContext task) {
    RecoveryWork.Leased lease = work.value().lease(task);
    Wanted w = wanted.value();
    Reports reports = new Reports(work.value().runId(), task);
    List<CorrectionStatistics> statistics =
        new RecoveryPass(lease.model(), w.options(), task.cpus())
            .gather(w.profile(), w.layers(), lease.read(documents), reports);
    reports.report();
    return List.of(new Gathered(statistics)).iterator();
  }

  /** Tells the driver how many documents a task has begun with. */
  private static final class Reports implements RecoveryPass.Progress {
    private final String runId;
    private final TaskContext task;
    private long documents;

    Reports(String runId, TaskContext task) {
      this.runId = runId;
      this.task = task;
    }

    @Override
    public void next() {
      task.killTaskIfInterrupted();
      report();
      documents++;
    }

    void report() {
      RollcallPlugin.report(
          new TaskProgress(runId, task.partitionId(), documents, 0, Double.NaN));
    }
  }
}
