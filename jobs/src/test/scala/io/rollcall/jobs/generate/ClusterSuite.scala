package io.rollcall.jobs.generate

import java.nio.file.{Files, Path}
import java.util.concurrent.{ConcurrentHashMap, CountDownLatch, TimeUnit}
import java.util.concurrent.atomic.AtomicInteger

import scala.concurrent.{Await, ExecutionContext, Future}
import scala.concurrent.duration._
import scala.jdk.CollectionConverters._

import io.rollcall.jobs.{Clusters, SparkSuite}
import org.apache.spark.ExecutorLostFailure
import org.apache.spark.scheduler.{SparkListener, SparkListenerStageSubmitted, SparkListenerTaskEnd, SparkListenerTaskStart}
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
    val input = prompts("in", Requests.documents(400): _*)
    val request = Requests(
      input, path("cluster"), Requests.own(0.6), batchSize = 4, maxNewTokens = 24, partitions = 4)
    val result = new GenerateAction(spark, request).execute()
    requireOnce(path("cluster"), 400)
    assert(executors().size == 2)
    assert(result.totals.rows == 400)

    val profile = write("profile.json", result.profile.toJson)
    val same = new SparsityRequest(null, null, profile, null)
    val again = Requests(
      input, path("killed"), same, batchSize = 4, maxNewTokens = 24, partitions = 4)
    import ExecutionContext.Implicits.global
    val inference = new Inference(4)
    cluster.sparkContext.addSparkListener(inference)
    val running = Future(new GenerateAction(spark, again).execute())
    assert(inference.busy.await(2, TimeUnit.MINUTES))
    Thread.sleep(500)
    assert(!running.isCompleted)
    executors().head.destroyForcibly()
    val survived = Await.result(running, 5.minutes)
    assert(inference.lost.get > 0)
    requireOnce(path("killed"), 400)
    assert(survived.totals.rows == 400)
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

  /** Watches the stage that infers and writes: both executors busy, tasks lost with one. */
  private final class Inference(partitions: Int) extends SparkListener {
    val busy = new CountDownLatch(2)
    val lost = new AtomicInteger
    private val stages = ConcurrentHashMap.newKeySet[Int]()

    override def onStageSubmitted(submitted: SparkListenerStageSubmitted): Unit =
      if (submitted.stageInfo.numTasks == partitions) stages.add(submitted.stageInfo.stageId)

    override def onTaskStart(start: SparkListenerTaskStart): Unit =
      if (stages.contains(start.stageId)) busy.countDown()

    override def onTaskEnd(end: SparkListenerTaskEnd): Unit =
      if (end.reason.isInstanceOf[ExecutorLostFailure]) lost.incrementAndGet()
  }
}
