package io.rollcall.jobs.demo

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.generation.{GenerationOptions, Prompt}
import io.rollcall.engine.runner.CpuModel
import io.rollcall.engine.sparsity.{Crossover, SparsityPlan}
import io.rollcall.jobs.generate.Requests
import io.rollcall.jobs.runtime.OwnProfiles
import io.rollcall.kernels.WeightType

class ComparisonSuite extends AnyFunSuite {
  test("a plan is compared with dense by what it answers and reads") {
    val files = ModelFiles.locate("builtin:summarizer-20m")
    val model = CpuModel.load(files, WeightType.BF16)
    val prompts = Requests.documents(8).map { case (id, text) => new Prompt(id, text) }.asJava
    def compared(plan: SparsityPlan): Comparison =
      Comparison.run(model, plan, GenerationOptions.greedy(4, 8, 256), 1, prompts)
    try {
      val dense = compared(SparsityPlan.dense(model.digest))
      assert(dense.same == 1 && dense.read == 1 && dense.prompts == 8)
      val profile = new OwnProfiles(files).find(null, null).get
      val sparse = compared(new SparsityPlan(profile, Crossover.never()))
      assert(sparse.read > 0.4 && sparse.read < 0.95)
      assert(sparse.same >= 0 && sparse.same <= 1)
      assert(sparse.dense.decodeTokens == dense.dense.decodeTokens)
    } finally model.close()
  }
}
