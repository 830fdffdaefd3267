package io.rollcall.engine.calibration

import java.nio.file.Files

import scala.jdk.CollectionConverters._

import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.SharedDocuments
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.evaluation.{PositionSums, ReferenceReader, ReferenceScorer, TeacherForcedRunner}
import io.rollcall.engine.generation.GenerationOptions
import io.rollcall.engine.runner.CpuModel
import io.rollcall.engine.sparsity._
import io.rollcall.kernels.WeightType

/** Neuron scales of the built-in model, from documents in the folder shared/ beside the project. */
class NeuronScalesQualitySuite extends AnyFunSuite with BeforeAndAfterAll {
  private val batchSize = 8

  private lazy val files = ModelFiles.locate("builtin:summarizer-20m")
  private lazy val model = CpuModel.load(files, WeightType.BF16)

  override def afterAll(): Unit = model.close()

  private def calibrated(
      target: Calibrator.Target, positions: DecodePositions, sample: Seq[DecodePositions.Document]): SparsityPlan = {
    val scores = Calibrator.scores(model, target, positions, sample.iterator.asJava, true, 1)
    val profile =
      Calibrator.profile(model.digest, target, Array(0.3), scores, "valid", sample.size)
    assert((profile.neuronScales == null) === (target.neuronScales == null))
    new SparsityPlan(profile, Crossover.never())
  }

  /** KL divergence from dense and density of the union in full batches, of each plan. */
  private def measured(
      plans: Seq[SparsityPlan], sample: Seq[DecodePositions.Document]): Seq[(Double, Double)] = {
    val reader = new ReferenceReader(model.model, files, model.template)
    val test = sample.zipWithIndex.map { case (d, i) => reader.read(i, d.id, d.prompt, d.reference) }
    val scorer = new ReferenceScorer(batchSize, model.config.vocabulary)
    val all = SparsityPlan.dense(model.digest) +: plans
    val runner = TeacherForcedRunner.of(model, all.asJava, batchSize, test.map(_.positions).max, 1)
    try {
      runner.run(test.iterator.asJava, scorer)
      all.indices.drop(1).map { r =>
        val sums = test.map(d => scorer.document(d.index, r)).foldLeft(PositionSums.NONE)(_ plus _)
        val full = runner.statistics(r).asScala.filter(_.batchSize == batchSize).map(_.unionDensity)
        (sums.divergence / sums.tokens, full.sum / full.size)
      }
    } finally runner.close()
  }

  test("at the same density neuron scales bring m-countdown and cats nearer to dense") {
    assume(Files.exists(SharedDocuments.folder), s"${SharedDocuments.folder} is not there")
    val sample = SharedDocuments.read("summaries-valid.jsonl.xz", 48)
    val positions =
      new DecodePositions(model, files, model.template, GenerationOptions.greedy(batchSize, 40, 1024), 1)
    val methods = Seq(Method.M_COUNTDOWN, Method.CATS)
    val plans = methods.flatMap { method =>
      val plain = new Calibrator.Target(method, null, new UnionStrategy.Shared, batchSize)
      val scales = Calibrator.factors(model, method, positions, sample.iterator.asJava, true).scales("s")
      Seq(plain, plain.`with`(scales)).map(calibrated(_, positions, sample))
    }
    val found = measured(plans, SharedDocuments.read("summaries-test.jsonl.xz", 48))
    for ((method, Seq((plain, plainDensity), (scaled, scaledDensity))) <- methods.zip(found.grouped(2))) {
      note(f"$method: KL $plain%.4f at density $plainDensity%.3f, with scales $scaled%.4f at $scaledDensity%.3f")
      assert(math.abs(plainDensity - scaledDensity) < 0.02, method)
      assert(scaled < 0.9 * plain, method)
    }
  }
}
