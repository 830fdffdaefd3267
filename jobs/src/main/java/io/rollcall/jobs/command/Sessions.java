package io.rollcall.jobs.command;

import io.rollcall.jobs.runtime.RollcallPlugin;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.SparkSession;

/** Opens the Spark session of a command. */
final class Sessions {
  private static final String PLUGINS = "spark.plugins";

  private Sessions() {}

  static SparkSession open(String command) {
    SparkConf conf = new SparkConf();
    String ours = RollcallPlugin.class.getName();
    String plugins = conf.get(PLUGINS, "");
    if (!plugins.contains(ours)) {
      conf.set(PLUGINS, plugins.isEmpty() ? ours : plugins + "," + ours);
    }
    conf.setIfMissing("spark.master", "local[*]");
    conf.set("spark.app.name", "rollcall " + command);
    return SparkSession.builder().config(conf).getOrCreate();
  }
}
