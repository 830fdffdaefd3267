package io.rollcall.engine.statistics

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.sparsity.FeedForwardCost
import io.rollcall.kernels.WeightType

class SparsityCountersSuite extends AnyFunSuite {
  private val cost = new FeedForwardCost(32, 100, WeightType.BF16)

  test("steps are counted by layer and batch size") {
    val counters = new SparsityCounters(2, 4, cost)
    assert(counters.meanUnionDensity.isNaN)
    counters.add(0, 4, 100, 60, false, 10)
    counters.add(0, 4, 60, 100, true, 30)
    counters.add(0, 1, 7, 7, false, 5)
    counters.add(1, 4, 400, 0, false, 1)
    val rows = counters.statistics.asScala.toSeq
    assert(rows.map(r => (r.layer, r.batchSize, r.steps, r.sequences)) ===
      Seq((0, 1, 1, 1), (0, 4, 2, 8), (1, 4, 1, 4)))
    val four = rows(1)
    assert(four.ownDensity === 160 / 800.0 && four.unionDensity === 0.8)
    assert(four.denseSteps === 1 && four.bytesRead === 40 && four.bytesDense === 2 * cost.dense)
    assert(four.unionHistogram()(12) === 1 && four.unionHistogram()(19) === 1)
    assert(rows(2).unionHistogram()(0) === 1)
    assert(math.abs(counters.meanUnionDensity - (0.6 + 1 + 0.07 + 0) / 4) < 1e-12)
  }
}
