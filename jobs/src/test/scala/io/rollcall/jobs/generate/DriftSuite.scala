package io.rollcall.jobs.generate

import java.io.File

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.ObjectMapper
import io.rollcall.engine.generation.PhaseTimes
import io.rollcall.engine.sparsity.{Method, SparsityProfile, UnionStrategy}
import io.rollcall.engine.statistics.LayerStatistics
import io.rollcall.jobs.{SparkSuite, UsageException}

class DriftSuite extends SparkSuite {
  private def profile(spread: Array[Array[Double]]): SparsityProfile = {
    val densities = Array(Array(0.5, 0.4), Array(0.3, 0.2))
    new SparsityProfile(
      "digest", Method.CATS, new UnionStrategy.Shared, Array(0.5, 0.6), Array(Array(1f, 1f), Array(2f, 2f)),
      new SparsityProfile.Calibration("docs", 8, 77, densities, densities, spread))
  }

  private val device = new DeviceUse("cpu", "cpu", null, "bf16", 1, java.util.List.of())

  /** Own densities of two layers in steps of one sequence, and as many sequences in steps of four. */
  private def totals(alone: Seq[Double], together: Seq[Double]): RunTotals = {
    def rows(batch: Int, steps: Int, densities: Seq[Double]) = densities.zipWithIndex.map { case (d, layer) =>
      new LayerStatistics(layer, batch, steps, steps * batch, d, d, new Array[Long](20), 0, 1, 1)
    }
    RunTotals.NONE.plus(PhaseTimes.NONE, (rows(1, 100, alone) ++ rows(4, 25, together)).asJava, device, 0, "here")
  }

  test("a layer is compared with the buckets that ran") {
    val drift = Drift.of(profile(Array.fill(2)(Array(0.02, 0.01))), totals(Seq(0.52, 0.40), Seq(0.32, 0.25)), 3)
    val Seq(first, second) = drift.layers.asScala.toSeq
    assert(math.abs(first.calibrated - 0.4) < 1e-9 && math.abs(first.deviation - 0.02) < 1e-9)
    assert(math.abs(first.bound - 0.06) < 1e-9)
    assert(math.abs(second.deviation - 0.025) < 1e-9)
    assert(drift.warning == null)
  }

  test("past the bound, on either side, the furthest layer is named") {
    val some = profile(Array.fill(2)(Array(0.02, 0.01)))
    val above = Drift.of(some, totals(Seq(0.57, 0.5), Seq(0.37, 0.3)), 3).warning
    assert(above.contains("2 of 2 layers") && above.contains("layer 1 most (own density 0.400, calibrated 0.300)"))
    val below = Drift.of(some, totals(Seq(0.5, 0.32), Seq(0.3, 0.12)), 3).warning
    assert(below.contains("1 of 2 layers") && below.contains("3 times"))
    assert(Drift.of(some, totals(Seq(0.5, 0.32), Seq(0.3, 0.12)), 8.5).warning == null)
  }

  test("a profile without a spread has a deviation and no warning, one without densities neither") {
    val drift = Drift.of(profile(null), totals(Seq(0.9, 0.9), Seq(0.9, 0.9)), 3)
    assert(drift.layers.asScala.forall(_.bound == null) && drift.warning == null)
    assert(Drift.of(SparsityProfile.dense("digest"), totals(Seq(1, 1), Seq(1, 1)), 3) == null)
  }

  test("a run like its calibration does not warn, and one whose layers call otherwise does") {
    val input = prompts("in", Requests.documents(60): _*)
    val first = new GenerateAction(
      spark, Requests(input, path("first"), SparsityRequest.of(Method.M_COUNTDOWN, 0.6, new UnionStrategy.Own)))
      .execute()
    assert(first.warning == null)
    val p = first.profile
    val louder = new SparsityProfile(
      p.modelDigest, p.method, p.union, p.sparsity, p.thresholds.map(_.map(_ * 0.7f)), p.calibration)
    val saved = new SparsityRequest(null, null, write("profile.json", louder.toJson), null)
    val result = new GenerateAction(spark, Requests(input, path("out"), saved)).execute()
    assert(result.warning.contains("8 of 8 layers call past 3 times its spread"))
    val record = new ObjectMapper().readTree(new File(s"${result.output}/runs/${result.runId}.json"))
    val layers = record.get("drift").get("layers").elements.asScala.toSeq
    assert(layers.size == 8 && record.get("drift").get("factor").asDouble == 3)
    assert(layers.forall(l => l.get("deviation").asDouble > l.get("bound").asDouble))
  }

  test("a bound that is none is wrong usage") {
    val action = new GenerateAction(spark, Requests(path("in"), path("out")))
    assert(intercept[UsageException](action.driftBound(0)).getMessage.contains("--drift-bound 0.0"))
  }
}
