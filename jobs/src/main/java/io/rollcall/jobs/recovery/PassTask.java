package io.rollcall.jobs.recovery;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.evaluation.ReferenceReader;
import io.rollcall.engine.evaluation.ReferencedDocument;
import io.rollcall.engine.recovery.CorrectionStatistics;
import io.rollcall.engine.recovery.LayerRange;
import io.rollcall.engine.recovery.RecoveryOptions;
import io.rollcall.engine.recovery.RecoveryPass;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.jobs.generate.TaskFaults;
import io.rollcall.jobs.generate.TaskModel;
import io.rollcall.jobs.generate.TaskSetup;
import io.rollcall.jobs.input.DocumentRows;
import io.rollcall.jobs.runtime.RollcallPlugin;
import io.rollcall.jobs.runtime.TaskProgress;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.broadcast.Broadcast;

/** Gathers what a partition's documents say of some layers' errors. */
final class PassTask implements FlatMapFunction<Iterator<String[]>, PassTask.Gathered> {

  /**
   * What is to be gathered.
   *
   * @param runId that progress is reported for
   * @param profile with the corrections found so far
   */
  @DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
  record Wanted(
      String runId, SparsityProfile profile, LayerRange layers, RecoveryOptions options)
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

  private final Broadcast<TaskSetup> setup;
  private final Broadcast<Wanted> wanted;

  PassTask(Broadcast<TaskSetup> setup, Broadcast<Wanted> wanted) {
    this.setup = setup;
    this.wanted = wanted;
  }

  @Override
  public Iterator<Gathered> call(Iterator<String[]> rows) {
    List<Document> documents = new ArrayList<>();
    rows.forEachRemaining(row -> documents.add(DocumentRows.document(row)));
    return TaskFaults.rethrown(() -> gather(documents, TaskContext.get()));
  }

  private Iterator<Gathered> gather(List<Document> documents, TaskContext task) {
    TaskModel model = setup.value().lease(task);
    Wanted w = wanted.value();
    Reports reports = new Reports(w.runId(), task);
    List<CorrectionStatistics> statistics =
        new RecoveryPass(model.model(), w.options(), model.workers())
            .gather(w.profile(), w.layers(), read(documents, model), reports);
    reports.report();
    return List.of(new Gathered(statistics)).iterator();
  }

  /** Documents that cannot be read or do not fit the context are passed over. */
  private static List<ReferencedDocument> read(List<Document> documents, TaskModel model) {
    ReferenceReader reader =
        new ReferenceReader(model.model().model(), model.files(), model.template());
    return IntStream.range(0, documents.size())
        .mapToObj(
            i -> {
              Document d = documents.get(i);
              return reader.fitting(
                  i, d.id(), d.prompt(), d.reference(), model.options().context());
            })
        .flatMap(Optional::stream)
        .toList();
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
      RollcallPlugin.report(new TaskProgress(runId, task.partitionId(), documents));
    }
  }
}
