package io.rollcall.jobs.analysis

import scala.jdk.CollectionConverters._

import io.rollcall.engine.UserException
import io.rollcall.jobs.SparkSuite

class FrontierFindingSuite extends SparkSuite {
  private def point(
      batch: Int,
      method: String,
      bytes: Double,
      loss: Double,
      weights: String = "bf16",
      union: String = "shared",
      recovery: Boolean = false): FrontierPoint =
    new FrontierPoint(
      batch, method, union, weights, recovery, 1 - bytes, null, bytes, bytes, loss, loss - 0.01, loss + 0.01, bytes)

  private val points = Seq(
    point(1, "m-countdown", 0.8, 0.01),
    point(1, "m-countdown", 0.6, 0.09),
    point(1, "m-countdown", 0.55, 0.04, recovery = true),
    point(1, "d-countdown-oracle", 0.4, 0.01),
    point(1, "dense", 0.53, 0.001, weights = "int8", union = "own"),
    point(8, "m-countdown", 0.9, 0.06),
    point(8, "dense", 0.53, 0.002, weights = "int8", union = "own"))

  test("what is read at the loss lies between the points around it, and oracles are only a bound") {
    val finding = FrontierFinding.of(points.asJava)
    assert(finding.sentences.get(0) ==
      "Within 5 % of perplexity, on bf16 weights, the feed-forward reads of dense's bytes 55 % at batch 1" +
      " (m-countdown, recovered), no figure at batch 8.")
    assert(finding.sentences.get(1) == "Dense in int8 reads 53 % for a loss of 0.1 % to 0.2 %.")
    val rows = finding.table.rows.asScala.map(row => row.get(0) -> row.asScala.tail.toSeq).toMap
    assert(rows("m-countdown") == Seq("0.700", "loses more"))
    assert(rows("m-countdown, recovered") == Seq("0.550", ""))
    assert(rows("d-countdown-oracle") == Seq("0.400", ""))
    assert(rows("goal") == Seq("0.50", "0.75"))
  }

  test("a panel has a line for each method and marks for the rival and the goal") {
    val panels = FrontierFinding.of(points.asJava).charts.asScala
    assert(panels.map(_.title) == Seq("One sequence in flight", "8 sequences in flight"))
    val first = panels.head.series.asScala.map(s => s.name -> s.x.toSeq).toMap
    assert(first("m-countdown") == Seq(0.6, 0.8) && first("goal") == Seq(0.5))
    assert(first.keySet ==
      Set("m-countdown", "m-countdown, recovered", "d-countdown-oracle", "dense int8", "goal"))
  }

  test("unions are compared where a method has more than one, for one sparsity in all layers") {
    val compared = UnionFrontierFinding.of((points ++ Seq(
      point(8, "m-countdown", 0.8, 0.1),
      point(8, "m-countdown", 0.94, 0.02),
      point(8, "m-countdown", 0.99, 0.04, union = "own"),
      point(8, "m-countdown", 0.8, 0.05, union = "budget:0.8"),
      point(8, "m-countdown", 0.5, 0.01, weights = "int8", union = "own"),
      point(8, "cats", 0.7, 0.01))).asJava)
    assert(compared.charts.asScala.map(_.title) == Seq("8 sequences in flight"))
    assert(compared.charts.get(0).series.asScala.map(_.name) ==
      Seq("m-countdown", "m-countdown budget", "m-countdown own"))
    assert(compared.table.rows.asScala.map(_.asScala.toSeq) == Seq(Seq("m-countdown", "8", "0.990", "0.910", "0.800")))
    assert(compared.sentences.asScala == Seq(
      "Within 5 % of perplexity, of 1 pairs of a method and a batch size, least is read under budget in 1.",
      "Under own, where a sequence uses its own rows alone, the batch reads 99 % to 99 % of dense's bytes."))
    assert(UnionFrontierFinding.of(points.asJava).charts.isEmpty)
  }

  test("a configuration is compared with itself corrected") {
    def of(bytes: Double, loss: Double, recovery: Boolean) =
      new FrontierPoint(8, "cats", "shared", "bf16", recovery, 0.25, null, bytes, bytes, loss, 0, 1, 0.75)
    val some = Seq(of(0.8, 0.1, false), of(0.81, 0.04, true), point(8, "cats", 0.7, 0.03, recovery = true))
    val finding = RecoveryFrontierFinding.of(some.asJava)
    assert(finding.charts.get(0).series.asScala.map(s => s.name -> s.y.toSeq) == Seq("cats 0.25" -> Seq(0.1, 0.04)))
    assert(finding.sentences.asScala == Seq(
      "Corrections lower the loss in 1 of 1 configurations and take back 60 % of it on average, for 1.0 % of dense's bytes.",
      "They take back most of cats, 8 in flight (10.0 % to 4.0 %) and least of cats, 8 in flight (10.0 % to 4.0 %)."))
    assert(finding.table.rows.size == 1)
    assert(RecoveryFrontierFinding.of(points.asJava).charts.isEmpty)
  }

  test("points are read back as they were written, and are known by their configuration") {
    FrontierPoint.write(points.asJava, path("f.json"), spark.sessionState.newHadoopConf())
    val read = FrontierPoint.read(path("f.json"), spark.sessionState.newHadoopConf()).asScala
    assert(read == points)
    assert(points(0).sameAs(point(1, "m-countdown", 0.8, 0.5)) && !points(0).sameAs(points(1)))
    val odd = write("odd.json", "{}")
    val refused = intercept[UserException](FrontierPoint.read(odd, spark.sessionState.newHadoopConf()))
    assert(refused.getMessage.contains("odd.json' is not a frontier"))
    assert(FrontierFinding.of(java.util.List.of()).charts.isEmpty)
  }
}
