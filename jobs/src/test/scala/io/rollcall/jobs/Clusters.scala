package io.rollcall.jobs

import java.io.File
import java.nio.file.Path

import io.rollcall.jobs.runtime.RollcallPlugin
import org.apache.spark.sql.SparkSession

/** Real executor processes: two workers of one core each on this machine. */
object Clusters {
  /** Executors start in directories of their own. */
  private val classPath = System
    .getProperty("java.class.path")
    .split(File.pathSeparator)
    .map(Path.of(_).toAbsolutePath.toString)
    .mkString(File.pathSeparator)

  /** Stops the session of this JVM and starts one on a cluster. */
  def start(settings: (String, String)*): SparkSession = {
    SparkSuite.stop()
    val builder = SparkSession
      .builder()
      .master("local-cluster[2,1,2048]")
      .appName("rollcall cluster tests")
      .config("spark.ui.enabled", "false")
      .config("spark.sql.shuffle.partitions", "2")
      .config("spark.executor.memory", "1g")
      .config("spark.executor.extraClassPath", classPath)
      .config("spark.plugins", classOf[RollcallPlugin].getName)
    settings.foreach { case (name, value) => builder.config(name, value) }
    builder.getOrCreate()
  }
}
