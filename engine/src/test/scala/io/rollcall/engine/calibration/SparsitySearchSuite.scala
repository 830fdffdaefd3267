package io.rollcall.engine.calibration

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException
import io.rollcall.engine.calibration.SparsitySearch.{Documents, Measurement, Point}

class SparsitySearchSuite extends AnyFunSuite {
  private val tolerance = Array(0.02, 0.2, 1.0, 3.0)

  /** Layers that differ in what they tolerate, with errors that add up to more than their sum. */
  private def point(sparsity: Array[Double], harm: Double = 1): Point = {
    val alone = sparsity.zip(tolerance).map { case (s, t) => 0.1 * math.pow(s, 4) / t }
    val divergence = harm * math.pow(alone.sum, 1.2)
    new Point(sparsity, math.expm1(1.3 * divergence), divergence, 1 - 2 * sparsity.sum / 3 / 4)
  }

  private def search(maxLoss: Double, measurement: Measurement): SparsitySearch.Result =
    new SparsitySearch(4, maxLoss, measurement).search()

  private def measured(of: Array[Double] => Point): Measurement =
    (plans, _) => plans.asScala.map(of).asJava

  test("layers get what they tolerate, within the loss, and all alike read more") {
    for (maxLoss <- Seq(0.003, 0.02, 0.1)) {
      val result = search(maxLoss, measured(point(_)))
      val allocated = result.allocated.heldOut
      val uniform = result.uniform.heldOut
      assert(allocated.loss <= maxLoss && uniform.loss <= maxLoss)
      assert(allocated.loss > 0.6 * maxLoss && uniform.loss > 0.6 * maxLoss, maxLoss)
      assert(allocated.bytes < uniform.bytes - 0.03, maxLoss)
      assert(allocated.sparsity.toSeq === allocated.sparsity.sorted.toSeq)
      assert(uniform.sparsity.distinct.length === 1)
    }
  }

  test("layers that are alike are treated alike") {
    val alike = measured { sparsity =>
      val divergence = sparsity.map(s => 0.05 * s * s * s).sum
      new Point(sparsity, math.expm1(divergence), divergence, 1 - sparsity.sum / 4)
    }
    val result = search(0.01, alike)
    val sparsity = result.allocated.searched.sparsity
    assert(sparsity.max - sparsity.min < 0.02)
    assert(result.allocated.searched.bytes <= result.uniform.searched.bytes + 0.02)
  }

  test("a profile that costs more on other documents is made gentler") {
    val unlike: Measurement = (plans, documents) =>
      plans.asScala
        .map(point(_, if (documents == Documents.HELD_OUT) 1.4 else 1))
        .asJava
    val result = search(0.02, unlike)
    assert(result.allocated.heldOut.loss <= 0.02)
    assert(result.allocated.heldOut.bytes > result.allocated.searched.bytes)
  }

  test("nothing is dropped where any drop is too much") {
    val brittle = measured(sparsity =>
      new Point(sparsity, if (sparsity.exists(_ > 0)) 1 else 0, sparsity.sum, 1 - sparsity.sum / 4))
    assert(search(0.01, brittle).allocated.heldOut.sparsity.forall(_ == 0))
  }

  test("a loss that nothing keeps within is refused with the least there is") {
    val budget = measured(sparsity => new Point(sparsity, 0.05 + sparsity.sum, 0.05, 0.5))
    val message = intercept[UserException](search(0.01, budget)).getMessage
    assert(message.contains("--max-loss 0.01") && message.contains("0.0500"), message)
  }
}
