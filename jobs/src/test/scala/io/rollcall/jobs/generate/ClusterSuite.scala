package io.rollcall.jobs.generate

import java.nio.file.{Files, Path}

import scala.concurrent.{Await, ExecutionContext, Future}
import scala.concurrent.duration._
import scala.jdk.CollectionConverters._

import io.rollcall.jobs.{Clusters, SparkSuite}
import org.apache.spark.sql.{Row, SparkSession}
import org.apache.spark.sql.functions.{col, sum}
import org.scalatest.BeforeAndAfterAll

/** Real executor processes: two workers of one core each on this machine. */
class ClusterSuite extends SparkSuite with BeforeAndAfterAll {
  private lazy val cluster = Clusters.local()

  override protected def spark: SparkSession = cluster

  override protected def afterAll(): Unit = cluster.stop()

  private def rows(output: String, name: String, columns: String*): Seq[Row] =
    table(output, name).select(columns.map(col): _*).orderBy(columns.map(col): _*).collect().toSeq

  private def generations(output: String): Seq[Row] =
    rows(output, "generations", "id", "output", "finish_reason", "error", "prompt_tokens",
      "output_tokens", "own_density", "method", "union", "model")

  private def steps(output: String): Seq[Row] =
    rows(output, "sparsity", "partition_id", "layer", "batch_size", "steps", "sequences",
      "own_density", "union_density", "union_histogram")

  /** Every id once, and as many sequence steps in every layer as tokens that steps decoded. */
  private def requireOnce(output: String, ids: Int): Unit = {
    val found = table(output, "generations").select("id").collect().map(_.getString(0))
    assert(found.length == ids)
    assert(found.distinct.length == ids)
    val tokens = table(output, "generations")
      .agg(sum(col("output_tokens") - 1)).collect().head.getLong(0)
    val layers = table(output, "sparsity").groupBy("layer").agg(sum("sequences")).collect()
    assert(layers.map(_.getLong(1)).toSeq == Seq.fill(8)(tokens))
  }

  private def executors(): Seq[ProcessHandle] =
    ProcessHandle.current().descendants().iterator().asScala
      .filter { process =>
        val command = Path.of("/proc", process.pid.toString, "cmdline")
        Files.isReadable(command) &&
        Files.readString(command).contains("CoarseGrainedExecutorBackend")
      }
      .toSeq

  test("a cluster's tables are those of one process; killing an executor changes no row") {
    val input = prompts("in", Requests.documents(160): _*)
    val request = Requests(
      input, path("cluster"), Requests.own(0.6), batchSize = 4, maxNewTokens = 24, partitions = 4)
    val result = new GenerateAction(spark, request).execute()
    requireOnce(path("cluster"), 160)
    assert(executors().size == 2)
    assert(result.totals.rows == 160)

    val profile = write("profile.json", result.plan.profile.toJson)
    val same = new SparsityRequest(null, null, profile, null)
    val again = Requests(
      input, path("killed"), same, batchSize = 4, maxNewTokens = 24, partitions = 4)
    import ExecutionContext.Implicits.global
    val running = Future(new GenerateAction(spark, again).execute())
    val victim = firstBusy()
    assert(!running.isCompleted)
    victim.destroyForcibly()
    val survived = Await.result(running, 5.minutes)
    requireOnce(path("killed"), 160)
    assert(survived.totals.rows == 160)
    assert(survived.totals.times.decodeTokens == result.totals.times.decodeTokens)
    assert(generations(path("killed")) == generations(path("cluster")))
    assert(steps(path("killed")) == steps(path("cluster")))

    val local = {
      cluster.stop()
      SparkSuite.local
    }
    new GenerateAction(
      local,
      Requests(input, path("local"), same, batchSize = 4, maxNewTokens = 24, partitions = 4))
      .execute()
    def read(name: String, table: String) = local.read.parquet(s"${path(name)}/$table")
    for (name <- Seq("generations", "sparsity")) {
      val ignored = Seq("run_id", "dense_steps", "bytes_read")
      val Seq(a, b) = Seq("local", "cluster").map(read(_, name).drop(ignored: _*))
      assert(a.exceptAll(b).isEmpty && b.exceptAll(a).isEmpty)
    }
  }

  /** An executor whose tasks of the inference stage have run for a moment. */
  private def firstBusy(): ProcessHandle = {
    val tracker = cluster.sparkContext.statusTracker
    val deadline = 2.minutes.fromNow
    def inference: Boolean = tracker.getActiveJobIds().exists { job =>
      tracker.getJobInfo(job).exists(_.stageIds().exists { stage =>
        tracker.getStageInfo(stage).exists(info => info.numTasks == 4 && info.numActiveTasks() == 2)
      })
    }
    while (!inference && deadline.hasTimeLeft()) Thread.sleep(50)
    Thread.sleep(1500)
    executors().head
  }
}
