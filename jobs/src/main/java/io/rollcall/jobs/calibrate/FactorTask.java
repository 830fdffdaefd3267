package io.rollcall.jobs.calibrate;

import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.calibration.FactorMoments;
import io.rollcall.jobs.generate.CalibrationJob;
import io.rollcall.jobs.generate.DocumentFeed;
import io.rollcall.jobs.generate.Failures;
import io.rollcall.jobs.generate.TaskFaults;
import io.rollcall.jobs.generate.TaskModel;
import io.rollcall.jobs.input.DocumentRows;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.broadcast.Broadcast;

/** Sums up the factor that a method's scores leave out, over a part of the documents. */
final class FactorTask implements FlatMapFunction<Iterator<String[]>, FactorMoments> {
  private final Broadcast<CalibrationJob.Work> broadcast;

  private FactorTask(Broadcast<CalibrationJob.Work> broadcast) {
    this.broadcast = broadcast;
  }

  /** The same documents and partitions give the same moments, whatever the order tasks end in. */
  static FactorMoments run(
      JavaSparkContext context,
      CalibrationJob.Work work,
      List<Document> documents,
      int partitions) {
    Broadcast<CalibrationJob.Work> sent = context.broadcast(work);
    try {
      List<String[]> rows = documents.stream().map(DocumentRows::text).toList();
      JavaRDD<FactorMoments> parts =
          context.parallelize(rows, partitions).mapPartitions(new FactorTask(sent));
      return Failures.explained(parts::collect).stream().reduce(FactorMoments::plus).orElseThrow();
    } finally {
      sent.destroy();
    }
  }

  @Override
  public Iterator<FactorMoments> call(Iterator<String[]> rows) {
    return TaskFaults.rethrown(() -> List.of(sum(rows, TaskContext.get())).iterator());
  }

  private FactorMoments sum(Iterator<String[]> rows, TaskContext task) {
    CalibrationJob.Work work = broadcast.value();
    TaskModel model = work.setup().lease(task);
    return Calibrator.factors(
        model.model(),
        work.target().method(),
        model.positions(),
        new DocumentFeed(rows, work.runId(), task),
        work.references());
  }
}
