package io.rollcall.jobs.generate

import io.rollcall.engine.sparsity.{Method, UnionStrategy}
import io.rollcall.jobs.input.PromptSource
import io.rollcall.jobs.output.WriteMode
import io.rollcall.jobs.runtime.{BackendChoice, ModelSource}
import io.rollcall.kernels.WeightType

/** Small runs of the built-in model. */
object Requests {
  private val subjects = Seq("library", "daemon", "compiler", "editor", "game", "driver", "font")
  private val tasks = Seq(
    "parsing dates in many languages",
    "serving files over the network",
    "converting images between formats",
    "testing web pages without a browser",
    "plotting functions of two variables")

  /** Short documents, all different. */
  def documents(n: Int): Seq[(String, String)] = (0 until n).map { i =>
    s"doc-$i" -> s"A ${subjects(i % subjects.size)} for ${tasks(i % tasks.size)}, version $i."
  }

  val builtin = new ModelSource("builtin:summarizer-20m", WeightType.BF16, BackendChoice.CPU)

  def own(sparsity: Double): SparsityRequest =
    SparsityRequest.of(Method.M_COUNTDOWN, sparsity, new UnionStrategy.Own())

  /** The request with another model. */
  def of(request: GenerateRequest, model: ModelSource): GenerateRequest =
    new GenerateRequest(
      request.input,
      request.output,
      request.mode,
      model,
      request.sparsity,
      request.decoding,
      request.partitions)

  def apply(
      input: String,
      output: String,
      sparsity: SparsityRequest = SparsityRequest.unspecified(),
      batchSize: Int = 8,
      maxNewTokens: Int = 8,
      partitions: Int = 2): GenerateRequest =
    new GenerateRequest(
      PromptSource.of(input),
      output,
      WriteMode.ERROR,
      builtin,
      sparsity,
      Decoding.greedy(batchSize, maxNewTokens),
      partitions)
}
