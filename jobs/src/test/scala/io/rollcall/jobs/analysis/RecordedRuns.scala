package io.rollcall.jobs.analysis

import java.util

import scala.jdk.CollectionConverters._

import io.rollcall.engine.generation.{FinishReason, Generation}
import io.rollcall.engine.sparsity.Crossover
import io.rollcall.engine.statistics.LayerStatistics
import io.rollcall.jobs.generate.{Decoding, GenerateRequest, Requests, SparsityRequest}
import io.rollcall.jobs.output.{OutputDirectory, RunRecord, Tables, TablesFormat}
import org.apache.spark.sql.{Row, SaveMode, SparkSession}

/** OUTPUT folders with known numbers, through the writers that generate uses. */
object RecordedRuns {
  /**
   * @param crossover union densities from which layers ran dense, by batch bucket
   * @param given whether the crossover was
   * @param drift layer, own density, calibrated, bound
   */
  final case class Recorded(
      method: String = "m-countdown",
      union: String = "shared",
      cells: Seq[LayerStatistics] = Seq(),
      generations: Seq[Generation] = Seq(),
      sparsity: Seq[Double] = Seq(0.5, 0.4, 0.3),
      crossover: Seq[Double] = Seq(2, 0.9, 0.8),
      given: Boolean = false,
      drift: Seq[(Int, Double, Double, Double)] = Seq(),
      decodeSeconds: Double = 10,
      prefillSeconds: Double = 2,
      partitions: Seq[(Int, Double)] = Seq(),
      decoding: Decoding = Decoding.greedy(4, 8),
      status: String = "succeeded")

  /** A layer's steps of one batch size, all of one union density; m-countdown's bytes of d 96, f 1000. */
  def cell(
      layer: Int,
      batch: Int,
      steps: Long,
      own: Double,
      union: Double,
      dense: Long = 0): LayerStatistics = {
    val histogram = new Array[Long](20)
    histogram(math.min(19, (union * 20 + 1e-9).toInt)) = steps
    val step = 3L * 96 * 2 * 1000
    val sparse = ((1 + 2 * union) / 3 * step).round
    new LayerStatistics(
      layer, batch, steps, steps * batch, own, union, histogram, dense,
      (steps - dense) * sparse + dense * step, steps * step)
  }

  def answered(id: String, tokens: Int): Generation =
    new Generation(id, s"answer of $id", FinishReason.STOP, null, 10, tokens, 0.25, 0.5)

  def failed(id: String, error: String, tokens: Int = 0): Generation =
    Generation.error(id, error, tokens)

  /** @return the run's id */
  def record(spark: SparkSession, path: String, recorded: Recorded): String = {
    val output = new OutputDirectory(path, spark.sessionState.newHadoopConf())
    output.prepare()
    val run = new RunRecord(output)
    describe(run, path, recorded)
    if (recorded.status == "succeeded") {
      rows(spark, path, run.runId, recorded)
      run.succeeded()
    } else {
      run.failed("the job failed: out of luck")
    }
    run.runId
  }

  private def rows(spark: SparkSession, path: String, runId: String, recorded: Recorded): Unit = {
    val labels = new Tables.Labels(runId, "a model", recorded.method, recorded.union)
    val both = recorded.generations.map(Tables.generation(_, labels, util.List.of())) ++
      recorded.cells.map(Tables.sparsity(_, labels, 0))
    spark
      .createDataFrame(both.asJava: util.List[Row], Tables.both(util.List.of()))
      .coalesce(1)
      .write
      .format(classOf[TablesFormat].getName)
      .mode(SaveMode.Append)
      .save(path)
  }

  private def describe(run: RunRecord, path: String, recorded: Recorded): Unit = {
    def map(pairs: (String, Any)*): util.Map[String, Any] = {
      val values = new util.LinkedHashMap[String, Any]
      pairs.foreach { case (name, value) => values.put(name, value) }
      values
    }
    val errors = recorded.generations.count(_.finishReason == FinishReason.ERROR)
    val tokens = recorded.generations.map(_.outputTokens.toLong).sum
    val request = Requests("in <b>& out</b>", path, SparsityRequest.unspecified())
    run
      .put(
        "configuration",
        new GenerateRequest(
          request.input, path, request.mode, request.model, request.sparsity, recorded.decoding,
          request.partitions,
          if (recorded.given) new Crossover(recorded.crossover.toArray) else null))
      .put("model", "a model")
      .put("method", recorded.method)
      .put("union", recorded.union)
      .put("sparsity", recorded.sparsity.asJava)
      .put("counts", map("rows" -> recorded.generations.size, "finish_reasons" -> map("error" -> errors)))
      .put("prompt_tokens", recorded.generations.map(_.promptTokens.toLong).sum)
      .put("output_tokens", tokens)
      .put("prefill", map("tokens" -> 10, "seconds" -> recorded.prefillSeconds))
      .put("decode", map("tokens" -> tokens, "seconds" -> recorded.decodeSeconds))
      .put(
        "devices",
        util.List.of(
          map(
            "name" -> "cpu: a machine",
            "tasks" -> 1,
            "crossover" -> recorded.crossover.map(c => util.List.of(c, c)).asJava)))
      .put(
        "drift",
        map("layers" -> recorded.drift.map { case (layer, own, calibrated, bound) =>
          map(
            "layer" -> layer, "own_density" -> own, "calibrated" -> calibrated,
            "deviation" -> (own - calibrated), "bound" -> bound)
        }.asJava))
      .put(
        "slowest_partitions",
        recorded.partitions.map { case (partition, seconds) =>
          map(
            "partition" -> partition, "host" -> "worker-1", "rows" -> 5, "output_tokens" -> 50,
            "prefill_seconds" -> 1.0, "decode_seconds" -> (seconds - 1))
        }.asJava)
  }
}
