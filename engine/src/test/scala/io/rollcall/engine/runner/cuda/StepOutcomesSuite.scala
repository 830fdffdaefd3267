package io.rollcall.engine.runner.cuda

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.RandomModels
import io.rollcall.engine.runner.DecodeStep
import io.rollcall.engine.sparsity._
import io.rollcall.engine.statistics.SparsityCounters
import io.rollcall.kernels.cuda.StepState

class StepOutcomesSuite extends AnyFunSuite {
  private val model = RandomModels.model(1, layers = 2)
  private val f = model.config.intermediateSize
  private val steps = 3

  /** Three sequences; the second ends after the first step, all after the second. */
  private val tokens = {
    val all = Array.fill(steps * StepState.MAX_BATCH)(DecodeStep.NONE)
    for (b <- 0 until 3) all(b) = 10 + b
    all(StepState.MAX_BATCH) = 20
    all(StepState.MAX_BATCH + 2) = 22
    all
  }

  private def run(plan: SparsityPlan, records: Array[Int]): (Seq[DecodeStep], SparsityCounters) = {
    val counters = new SparsityCounters(2, 3, model.cost)
    val outcomes = new StepOutcomes(model.config, plan, model.cost).of(3, new DecodeCalls.Result(steps, tokens, records), counters)
    (outcomes.asScala.toSeq, counters)
  }

  test("steps are told as far as a sequence ran, each by its sequences and layers") {
    val profile = new SparsityProfile(
      model.digest, Method.M_COUNTDOWN, new UnionStrategy.Shared, Array(0.5), Array(Array(1f, 1f)), null)
    val records = new Array[Int](steps * 2 * StepState.RECORD_STRIDE)
    def record(step: Int, layer: Int, union: Int, dense: Int, called: Int*): Unit = {
      val at = (step * 2 + layer) * StepState.RECORD_STRIDE
      records(at) = union
      records(at + 1) = dense
      for ((c, b) <- called.zipWithIndex) records(at + 2 + b) = c
    }
    record(0, 0, 30, 0, 10, 20, 5)
    record(0, 1, 90, 1, 60, 70, 80)
    record(1, 0, 12, 0, 7, 0, 6)
    record(1, 1, 9, 0, 4, 0, 5)
    val (outcomes, counters) = run(new SparsityPlan(profile, Crossover.never()), records)
    assert(outcomes.map(_.tokens.toSeq) === Seq(Seq(10, 11, 12), Seq(20, DecodeStep.NONE, 22)))
    assert(outcomes.map(_.called.toSeq) === Seq(Seq(70, 90, 85), Seq(11, 0, 11)))
    assert(outcomes.map(_.loaded) === Seq(120, 21))
    val rows = counters.statistics.asScala
    assert(rows.map(r => (r.layer, r.batchSize, r.steps, r.denseSteps)) ===
      Seq((0, 2, 1, 0), (0, 3, 1, 0), (1, 2, 1, 0), (1, 3, 1, 1)))
    assert(rows.map(_.bytesRead) === Seq(12, 30, 9, f).map(model.cost.read(Method.M_COUNTDOWN, _, 0)))
    assert(rows(1).ownDensity === 35.0 / (3 * f) && rows(0).unionDensity === 12.0 / f)
  }

  test("neuron scales cost their bytes in every sparse layer step, as on the CPU") {
    val plain = new SparsityProfile(
      model.digest, Method.CATS, new UnionStrategy.Shared, Array(0.5), Array(Array(1f, 1f)), null)
    val records = new Array[Int](steps * 2 * StepState.RECORD_STRIDE)
    def bytes(profile: SparsityProfile) =
      run(new SparsityPlan(profile, Crossover.never()), records)._2.statistics.asScala
        .map(r => (r.steps, r.bytesRead))
    val scaled = bytes(plain.`with`(RandomModels.neuronScales(model.config, 1)))
    assert(scaled === bytes(plain).map { case (steps, read) => (steps, read + steps * 2 * f) })
  }

  test("a dense step calls every neuron of every sequence that ran") {
    val (outcomes, counters) = run(SparsityPlan.dense(model.digest), new Array[Int](steps * 2 * StepState.RECORD_STRIDE))
    assert(outcomes.map(_.called.toSeq) === Seq(Seq.fill(3)(2 * f), Seq(2 * f, 0, 2 * f)))
    for (row <- counters.statistics.asScala)
      assert(row.ownDensity === 1.0 && row.unionDensity === 1.0 && row.denseSteps === 0 && row.bytesRead === row.bytesDense)
  }
}
