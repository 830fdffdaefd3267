package io.rollcall.jobs.generate;

import io.rollcall.jobs.runtime.Device;
import java.util.function.Supplier;
import org.apache.spark.SparkEnv;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A task's work on a device that may fault. The task fails and Spark tries it again, with a model
 * loaded anew ({@link io.rollcall.jobs.runtime.ModelRegistry}). Where the device is lost to the whole
 * process, the executor ends too, so that Spark replaces it.
 */
public final class TaskFaults {
  private static final Logger LOG = LoggerFactory.getLogger(TaskFaults.class);

  private TaskFaults() {}

  /**
   * Does a task's work; what it throws is thrown again, as a fatal error where the executor must end.
   */
  public static <T> T rethrown(Supplier<T> work) {
    try {
      return work.get();
    } catch (RuntimeException e) {
      if (Device.lostToProcess(e) && !"driver".equals(SparkEnv.get().executorId())) {
        LOG.error("This executor ends: its device cannot be used again by this process", e);
        // Spark reports the task's failure, then ends an executor whose task met a fatal error.
        throw new InternalError(e.getMessage(), e);
      }
      throw e;
    }
  }
}
