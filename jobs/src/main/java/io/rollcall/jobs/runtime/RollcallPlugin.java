package io.rollcall.jobs.runtime;

import java.io.IOException;
import java.util.Map;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Rollcall's part in each Spark process ({@code spark.plugins}): carries the tasks' progress to the
 * driver, and releases the models when an executor ends. Jobs work without it, in a notebook's own
 * session say, only that progress from other processes stays unseen.
 */
public final class RollcallPlugin implements SparkPlugin {
  private static final Logger LOG = LoggerFactory.getLogger(RollcallPlugin.class);
  private static volatile PluginContext executor;

  /** Tells the driver how far a task is; never fails the task. */
  public static void report(TaskProgress progress) {
    PluginContext context = executor;
    if (context != null) {
      try {
        context.send(progress);
      } catch (IOException | RuntimeException e) {
        LOG.debug("Progress of partition {} was not delivered", progress.partition(), e);
      }
    } else if ("driver".equals(SparkEnv.get().executorId())) {
      ProgressBoard.process().report(progress);
    }
  }

  @Override
  public DriverPlugin driverPlugin() {
    return new DriverPlugin() {
      @Override
      public Object receive(Object message) {
        if (message instanceof TaskProgress progress) {
          ProgressBoard.process().report(progress);
        }
        return null;
      }
    };
  }

  @Override
  public ExecutorPlugin executorPlugin() {
    return new ExecutorPlugin() {
      @Override
      public void init(PluginContext context, Map<String, String> extra) {
        executor = context;
      }

      @Override
      public void shutdown() {
        executor = null;
        ModelRegistry.process().close();
      }
    };
  }
}
