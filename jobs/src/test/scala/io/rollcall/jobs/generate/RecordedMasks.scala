package io.rollcall.jobs.generate

import scala.collection.mutable

import io.rollcall.engine.runner.ScoreObserver
import io.rollcall.engine.sparsity.SparsityPlan

/** Compares every score with its threshold by itself and keeps what each step called. */
final class RecordedMasks(plan: SparsityPlan) extends ScoreObserver {
  /** @param called neurons summed over the sequences */
  final case class Step(called: Long, union: Long)

  /** By layer and batch size. */
  val steps: mutable.Map[(Int, Int), Vector[Step]] = mutable.Map.empty

  override def observe(
      layer: Int, bucket: Int, scores: Array[Float], batch: Int, scale: Array[Float]): Unit = {
    val width = 1536
    val threshold = plan.profile.threshold(bucket, layer)
    val masks = (0 until batch).map { b =>
      (0 until width).filter(i => math.abs(scores(b * width + i)) > threshold).toSet
    }
    val step = Step(masks.map(_.size.toLong).sum, masks.reduce(_ union _).size)
    steps((layer, batch)) = steps.getOrElse((layer, batch), Vector.empty) :+ step
  }
}
