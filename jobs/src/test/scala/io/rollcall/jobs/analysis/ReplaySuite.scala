package io.rollcall.jobs.analysis

import scala.jdk.CollectionConverters._

import io.rollcall.jobs.SparkSuite
import io.rollcall.jobs.analysis.RecordedRuns._
import io.rollcall.engine.statistics.LayerStatistics

class ReplaySuite extends SparkSuite {
  private def replay(recorded: Recorded): (Replay, Savings) = {
    record(spark, path("out"), recorded.copy(generations = Seq(answered("a", 10))))
    val savings = Savings.open(spark, java.util.List.of(path("out")))
    (new Replay(savings.cells(), savings.runs().get(0)), savings)
  }

  private def near(actual: Double, expected: Double, within: Double = 1e-9): Unit =
    assert(math.abs(actual - expected) < within, s"$actual is not $expected")

  private def mCountdown(union: Double): Double = (1 + 2 * union) / 3

  /** What independent rows give. */
  private def independent(own: Double, batch: Int): Double = 1 - math.pow(1 - own, batch)

  test("the recorded batch size comes out as recorded") {
    val (replayed, _) = replay(Recorded(cells = Seq(cell(0, 4, 300, 0.3, 0.62))))
    assert(replayed.baseBatch == 4)
    near(replayed.read(4, 1), mCountdown(0.62), 1e-6)
  }

  test("rows that are independent grow by their law, rows that are the same do not grow") {
    val r = 0.2
    val law = Seq(1, 2, 4).map(b => cell(0, b, 100, r, independent(r, b)))
    near(replay(Recorded(cells = law, crossover = Seq(2)))._1.read(8, 1), mCountdown(independent(r, 8)), 1e-6)
    val same = Seq(1, 2, 4).map(b => cell(0, b, 100, r, r))
    new java.io.File(path("same")).mkdirs()
    record(spark, path("same"), Recorded(cells = same, generations = Seq(answered("a", 1))))
    val savings = Savings.open(spark, java.util.List.of(path("same")))
    near(new Replay(savings.cells(), savings.runs().get(0)).read(64, 1), mCountdown(r), 1e-6)
  }

  test("a budget trims each step's union, not their mean") {
    val histogram = new Array[Long](20)
    histogram(4) = 50 // 0.20 to 0.25
    histogram(16) = 50 // 0.80 to 0.85
    val step = 3L * 96 * 2 * 1000
    val mixed = new LayerStatistics(
      0, 4, 100, 400, 0.2, 0.525, histogram, 0, (mCountdown(0.525) * step * 100).round, step * 100)
    val (replayed, _) = replay(Recorded(cells = Seq(mixed), crossover = Seq(2)))
    near(replayed.read(4, 1), mCountdown(0.525), 1e-6)
    near(replayed.read(4, 0.5), (mCountdown(0.225) + mCountdown(0.5)) / 2, 1e-6)
  }

  test("a union past the crossover of the batch's bucket reads what dense does") {
    val (replayed, _) = replay(Recorded(
      cells = Seq(cell(0, 4, 100, 0.3, 0.7)),
      crossover = Seq(2, 0.9, 0.8, 0.75)))
    near(replayed.read(4, 1), mCountdown(0.7), 1e-6)
    near(replayed.read(8, 1), 1)
    near(replayed.read(8, 0.5), mCountdown(0.5), 1e-6)
  }

  test("steps that ran dense do not count as what the method reads beside its rows") {
    val (replayed, _) = replay(Recorded(cells = Seq(
      cell(0, 2, 100, 0.3, 0.5), cell(0, 4, 300, 0.4, 0.85, dense = 300)), crossover = Seq(2, 2, 0.8)))
    near(replayed.read(4, 1), 1, 1e-6)
    near(replayed.read(4, 0.5), mCountdown(0.5), 1e-6)
  }

  test("a run with a budget is not replayed beyond it") {
    val (replayed, _) = replay(Recorded(
      union = "budget:0.4", cells = Seq(cell(0, 4, 100, 0.3, 0.4)), crossover = Seq(2)))
    near(replayed.read(64, 1), mCountdown(0.4), 1e-6)
    assert(replayed.budget == 0.4)
  }
}
