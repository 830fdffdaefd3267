package io.rollcall.jobs.runtime;

import org.apache.spark.SparkContext;

/** How many tasks of a model run at once. */
public final class TaskSlots {
  private TaskSlots() {}

  /**
   * What tasks lack that run in this process is said before anything is done.
   *
   * @throws io.rollcall.engine.UserException when there is no device where one was asked for
   */
  public static void check(SparkContext context, ModelSource model) {
    localDevices(context, model);
  }

  /** One a device where tasks run in this process and have some, else one for a task's cores. */
  public static int of(SparkContext context, ModelSource model) {
    int devices = localDevices(context, model);
    int cpus = context.getConf().getInt("spark.task.cpus", 1);
    return devices > 0 ? devices : Math.max(1, context.defaultParallelism() / cpus);
  }

  private static int localDevices(SparkContext context, ModelSource model) {
    return context.isLocal() ? ModelRegistry.process().devices(model) : 0;
  }
}
