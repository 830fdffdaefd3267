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
