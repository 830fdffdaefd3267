package io.rollcall.jobs.generate;

import io.rollcall.engine.calibration.Calibrator;
import io.rollcall.engine.runner.LoadedModel;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityProfile;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.TemplateSource;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkContext;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.util.SerializableConfiguration;

/**
 * Finds the thresholds of a run in a task of its own, with the model, backend and threads that the
 * run's tasks will have: the driver may have neither a device nor the memory for the model.
 */
public final class CalibrationTask implements Function<String, String> {
  private final ModelSource source;
  private final Method method;
  private final UnionStrategy union;
  private final double sparsity;
  private final Decoding decoding;
  private final TemplateSource template;
  private final List<String> sample;
  private final SerializableConfiguration configuration;

  public CalibrationTask(
      ModelSource source,
      Method method,
      UnionStrategy union,
      double sparsity,
      Decoding decoding,
      TemplateSource template,
      List<String> sample,
      Configuration configuration) {
    this.source = source;
    this.method = method;
    this.union = union;
    this.sparsity = sparsity;
    this.decoding = decoding;
    this.template = template;
    this.sample = List.copyOf(sample);
    this.configuration = new SerializableConfiguration(configuration);
  }

  /**
   * Runs it.
   *
   * @param corpus what to call the sample in the profile
   */
  public SparsityProfile run(SparkContext context, String corpus) {
    try {
      String json =
          JavaSparkContext.fromSparkContext(context)
              .parallelize(List.of(corpus), 1)
              .map(this)
              .first();
      return SparsityProfile.fromJson(json, corpus, CalibrationTask::noSibling);
    } catch (RuntimeException e) {
      throw Failures.explain(e);
    }
  }

  private static byte[] noSibling(String file) {
    throw new IllegalStateException("a calibrated profile has no predictor, and names " + file);
  }

  /** @return the profile's JSON: plain text passes every serializer */
  @Override
  public String call(String corpus) {
    return TaskFaults.rethrown(() -> calibrate(corpus, TaskContext.get()).toJson());
  }

  private SparsityProfile calibrate(String corpus, TaskContext task) {
    ModelRegistry.Lease lease =
        ModelRegistry.process().acquire(source, task, configuration.value());
    LoadedModel model = lease.model();
    return Calibrator.calibrate(
        model,
        method,
        union,
        new double[] {sparsity},
        decoding.batchSize(),
        decoding.maxNewTokens(),
        template.of(model.model(), lease.files()),
        sample,
        corpus,
        task.cpus());
  }
}
