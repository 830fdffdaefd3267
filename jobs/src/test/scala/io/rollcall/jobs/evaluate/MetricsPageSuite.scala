package io.rollcall.jobs.evaluate

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.evaluation.{DocumentScore, Evaluation, PlanScores, PositionSums, StepSums}
import io.rollcall.engine.evaluation.Bootstrap.Interval

class MetricsPageSuite extends AnyFunSuite {
  private def metrics(method: String, sparsity: Double, profile: String): Metrics = {
    val around = new Interval(0.01, 0.02)
    new Metrics(
      method, sparsity, "shared", 8, profile, 10, 0.5, 0.3, 0.5, 0.1, 0.2, 0.5, 70, 100, 1000, 0.01,
      around, around, around, around, around, around, 500, null, Map.empty[Integer, Metrics.Smaller].asJava)
  }

  private def lines(all: Metrics*): Seq[String] = {
    val evaluation = new Evaluation(
      Seq(new PlanScores(Seq.empty[DocumentScore].asJava, Map.empty[Integer, PositionSums].asJava,
        Map.empty[Integer, StepSums].asJava, null)).asJava,
      Map.empty[String, java.lang.Long].asJava)
    new MetricsPage(all.asJava, evaluation, 0, Adoption.of(all.asJava, 0.05), "metrics.json").lines.asScala.toSeq
      .flatMap(_.linesIterator)
  }

  test("configurations that are alike are told apart by their files, others by what they are") {
    val page = lines(
      metrics("dense", 0, null),
      metrics("m-countdown", 0.3, "/runs/plain.json"),
      metrics("m-countdown", 0.3, "/runs/a-name-that-is-longer-than-its-column.json"),
      metrics("cats", 0.3, "/runs/cats.json"))
    val names = page.map(_.trim.split(" {2,}").head)
    for (name <- Seq("dense", "plain.json", "a-name-that-is-longer-than-...", "cats 0.3 shared"))
      assert(names.count(_ == name) == 2, s"$name of $names")
    assert(!names.contains("m-countdown 0.3 shared"))
  }
}
