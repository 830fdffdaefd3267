package io.rollcall.jobs.training;

import com.esotericsoftware.kryo.DefaultSerializer;
import com.esotericsoftware.kryo.serializers.JavaSerializer;
import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.calibration.DecodePositions.Document;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.Predictors;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.generate.Failures;
import io.rollcall.jobs.generate.TaskFaults;
import java.io.Serializable;
import java.util.List;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.broadcast.Broadcast;

/** Finds thresholds over a few documents, in a task of its own. */
final class ThresholdTask implements Function<String, String> {

  /**
   * @param predictors null for a method without
   * @param batchSize buckets up to it get thresholds
   * @param sample {partition, id, prompt, reference}
   */
  @DefaultSerializer(JavaSerializer.class) // Spark's Kryo knows no records
  record Wanted(
      Method method,
      Predictors predictors,
      UnionStrategy union,
      double sparsity,
      int batchSize,
      List<String[]> sample)
      implements Serializable {}

  private final Broadcast<Gathering> gathering;
  private final Broadcast<Wanted> wanted;

  private ThresholdTask(Broadcast<Gathering> gathering, Broadcast<Wanted> wanted) {
    this.gathering = gathering;
    this.wanted = wanted;
  }

  /** @param corpus what to call the sample in the profile */
  static SparsityProfile run(
      JavaSparkContext context, Broadcast<Gathering> gathering, Wanted wanted, String corpus) {
    Broadcast<Wanted> sent = context.broadcast(wanted);
    try {
      String json =
          context
              .parallelize(List.of(corpus), 1)
              .map(new ThresholdTask(gathering, sent))
              .first();
      return SparsityProfile.fromJson(json, corpus, file -> wanted.predictors().write());
    } catch (RuntimeException e) {
      throw Failures.explain(e);
    } finally {
      sent.destroy();
    }
  }

  /** @return the profile's JSON: plain text passes every serializer */
  @Override
  public String call(String corpus) {
    return TaskFaults.rethrown(
        () -> {
          Gathering.Decoder decoder = gathering.value().decoder(TaskContext.get());
          Wanted w = wanted.value();
          List<Document> documents =
              w.sample().stream().map(d -> new Document(d[1], d[2], d[3])).toList();
          return Calibrator.calibrate(
                  decoder.model(),
                  new Calibrator.Target(
                      w.method(),
                      w.predictors(),
                      w.union(),
                      new double[] {w.sparsity()},
                      w.batchSize()),
                  decoder.positions(),
                  documents,
                  corpus)
              .toJson();
        });
  }
}
