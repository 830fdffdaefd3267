package io.rollcall.engine.evaluation

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.{Backends, Documents}
import io.rollcall.engine.calibration.Calibrator
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.generation.GenerationOptions
import io.rollcall.engine.runner.{Backend, LoadedModel}
import io.rollcall.engine.sparsity._
import io.rollcall.kernels.WeightType
import io.rollcall.kernels.cuda.CudaDevice

/** What a device finds beside what the CPU does, on the same documents. Cancels where there is none. */
class DeviceEvaluatorSuite extends AnyFunSuite {
  private val files = ModelFiles.locate("builtin:summarizer-20m")
  private val texts = Documents.many(40)
  private val documents = texts.zipWithIndex.map { case (text, i) =>
    new Evaluator.Document(i, s"d$i", text, text.split(" ").take(6).mkString(" "))
  }

  private def evaluate(model: LoadedModel, profile: SparsityProfile): Evaluation =
    new Evaluator(model, files, model.template, GenerationOptions.greedy(8, 16, 512), 2, (_, _) => ())
      .evaluate(List(new SparsityPlan(profile, Crossover.never())).asJava, documents.asJava)

  private def sums(scores: PlanScores): PositionSums = scores.documents.asScala
    .map(d => new PositionSums(d.tokens, d.loss, d.hits, d.divergence))
    .foldLeft(PositionSums.NONE)(_ plus _)

  test("a device is fed the references step by step, and finds the CPU's perplexities") {
    assume(!CudaDevice.all.isEmpty, CudaDevice.whyNone.orElse(""))
    val cpu = Backends.load(files, WeightType.BF16, Backend.CPU, 0)
    val cuda = Backends.load(files, WeightType.BF16, Backend.CUDA, CudaDevice.all.get(0).ordinal)
    try {
      val profile = Calibrator.calibrate(
        cpu, Method.M_COUNTDOWN, new UnionStrategy.Own, Array(0.5), 8, 16, cpu.template,
        texts.take(16).asJava, "test prompts", 2)
      val found = evaluate(cuda, profile).plans.asScala
      for ((device, host) <- found.zip(evaluate(cpu, profile).plans.asScala)) {
        val (actual, expected) = (sums(device), sums(host))
        assert(actual.tokens === expected.tokens)
        assert(math.abs(actual.perplexity / expected.perplexity - 1) < 0.02)
        assert(math.abs(actual.divergence - expected.divergence) <= 0.1 * expected.divergence)
        assert(math.abs(device.steps.get(8).ownDensity - host.steps.get(8).ownDensity) < 0.02)
      }
    } finally {
      cuda.close()
      cpu.close()
    }
  }
}
