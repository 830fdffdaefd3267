package io.rollcall.jobs

import java.nio.file.{Files, Path}
import java.util.Comparator

import org.apache.spark.sql.{DataFrame, SparkSession}
import org.scalatest.BeforeAndAfterEach
import org.scalatest.funsuite.AnyFunSuite

/** One local Spark for all suites of this JVM; a task may fail three times. */
object SparkSuite {
  private def builder: SparkSession.Builder = SparkSession
    .builder()
    .master("local[2,4]")
    .appName("rollcall tests")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "2")
    .config("spark.plugins", classOf[runtime.RollcallPlugin].getName)

  def local: SparkSession = builder.getOrCreate()

  /** Makes room for a cluster of another suite. */
  def stop(): Unit = SparkSession.getDefaultSession.foreach(_.stop())
}

/** Tests against real Spark and real files, each with a directory of its own. */
abstract class SparkSuite extends AnyFunSuite with BeforeAndAfterEach {
  private var directory: Path = _

  protected def spark: SparkSession = SparkSuite.local

  override protected def beforeEach(): Unit = directory = Files.createTempDirectory("rollcall test ")

  override protected def afterEach(): Unit = {
    val entries = Files.walk(directory)
    try entries.sorted(Comparator.reverseOrder[Path]()).forEach(Files.delete(_))
    finally entries.close()
  }

  /** A path in the test's directory, whose name has spaces. */
  protected def path(name: String): String = directory.resolve(name).toString

  protected def write(name: String, text: String): String =
    Files.writeString(directory.resolve(name), text).toString

  /** Parquet of (id, prompt). */
  protected def prompts(name: String, rows: (String, String)*): String = {
    val session = spark
    import session.implicits._
    rows.toDF("id", "prompt").write.parquet(path(name))
    path(name)
  }

  protected def table(output: String, name: String): DataFrame = spark.read.parquet(s"$output/$name")
}
