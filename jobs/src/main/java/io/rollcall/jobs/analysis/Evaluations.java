package io.rollcall.jobs.analysis;

import io.rollcall.jobs.evaluate.Metrics;
import io.rollcall.jobs.evaluate.MetricsFile;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.SparkSession;

/** What evaluate found, of several evaluations. */
public final class Evaluations {
  private Evaluations() {}

  /**
   * Each folder's configurations, its dense first.
   *
   * @throws io.rollcall.engine.UserException for a folder that evaluate has not written
   */
  public static List<Metrics> read(SparkSession spark, List<String> folders) {
    Configuration configuration = spark.sessionState().newHadoopConf();
    return folders.stream()
        .flatMap(folder -> MetricsFile.read(folder, configuration).stream())
        .toList();
  }

  /** Whether evaluate has written into the folder. */
  public static boolean exists(SparkSession spark, String folder) {
    return MetricsFile.exists(folder, spark.sessionState().newHadoopConf());
  }
}
