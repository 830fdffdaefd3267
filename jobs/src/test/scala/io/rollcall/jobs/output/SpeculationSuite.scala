package io.rollcall.jobs.output

import java.util.concurrent.atomic.AtomicInteger

import io.rollcall.jobs.{Clusters, SparkSuite}
import org.apache.spark.TaskContext
import org.apache.spark.scheduler.{SparkListener, SparkListenerTaskEnd}
import org.apache.spark.sql.{Encoders, SaveMode, SparkSession}
import org.scalatest.BeforeAndAfterAll

object SpeculationSuite {
  /** The first attempt at one partition hangs after its rows are written. Never fails. */
  val hang: TaskContext => Boolean = { task =>
    if (task.partitionId() == 0 && task.attemptNumber() == 0) Thread.sleep(20000)
    false
  }
}

class SpeculationSuite extends SparkSuite with BeforeAndAfterAll {
  private lazy val cluster = new Clusters.Standalone(
    "spark.speculation" -> "true",
    "spark.speculation.interval" -> "100ms",
    "spark.speculation.quantile" -> "0.5",
    "spark.speculation.multiplier" -> "1.5",
    "spark.speculation.minTaskRuntime" -> "500ms",
    "spark.scheduler.minRegisteredResourcesRatio" -> "1",
    "spark.cores.max" -> "2")

  override protected def spark: SparkSession = cluster.session

  override protected def afterAll(): Unit = cluster.close()

  test("a speculative copy of a task leaves each row once in both tables") {
    val copies = new AtomicInteger
    spark.sparkContext.addSparkListener(new SparkListener {
      override def onTaskEnd(end: SparkListenerTaskEnd): Unit =
        if (end.taskInfo.speculative && end.taskInfo.successful) copies.incrementAndGet()
    })
    spark
      .range(0, 40, 1, 4)
      .mapPartitions(
        new TablesFormatSuite.Rows(SpeculationSuite.hang),
        Encoders.row(Tables.both(java.util.List.of())))
      .write
      .format(classOf[TablesFormat].getName)
      .mode(SaveMode.Append)
      .save(path("out"))
    val ids = table(path("out"), Tables.GENERATIONS).select("id").collect().map(_.getString(0))
    assert(copies.get > 0, "a copy ran and won")
    assert(ids.sorted.toSeq == (0 until 40).map(i => s"p$i").sorted)
    val partitions = table(path("out"), Tables.SPARSITY).select("partition_id").collect()
    assert(partitions.map(_.getInt(0)).sorted.toSeq == (0 until 4))
  }
}
