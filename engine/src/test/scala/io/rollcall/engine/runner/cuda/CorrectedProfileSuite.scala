package io.rollcall.engine.runner.cuda

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.{RandomModels, UserException}
import io.rollcall.engine.sparsity._

class CorrectedProfileSuite extends AnyFunSuite {
  private val config = RandomModels.model(1).config
  private val plain = new SparsityProfile(
    "abc", Method.CATS, new UnionStrategy.Shared, Array(0.7), Array(Array.fill(config.layers)(1f)), null)

  test("a device refuses a profile with corrections by name, and says what to do") {
    CudaModelRunner.requireUncorrected(plain)
    val corrections = RandomModels.corrections(config, seed = 1, rank = 2, buckets = 1)
    val message = intercept[UserException](
      CudaModelRunner.requireUncorrected(plain.`with`(corrections))).getMessage
    assert(message.contains("random.safetensors") && message.contains("--backend cpu"))
    assert(message.linesIterator.size === 1)
  }
}
