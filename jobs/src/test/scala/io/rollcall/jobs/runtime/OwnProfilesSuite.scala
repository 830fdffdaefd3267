package io.rollcall.jobs.runtime

import java.nio.file.{Files, Path}

import org.apache.hadoop.conf.Configuration
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.model.ModelReader
import io.rollcall.engine.sparsity.{Method, SparsityProfile, UnionStrategy}

class OwnProfilesSuite extends AnyFunSuite {
  private val builtin = ModelFiles.locate("builtin:summarizer-20m")
  private lazy val model = ModelReader.described(builtin)

  private def refusal(use: => Any): String = intercept[UserException](use).getMessage

  test("the built-in model brings profiles of m-countdown and d-countdown that fit it") {
    val own = new OwnProfiles(builtin)
    for (method <- Seq(Method.M_COUNTDOWN, Method.D_COUNTDOWN)) {
      val profile = own.find(method, new UnionStrategy.Shared).get
      profile.requireFits(model)
      assert(profile.method == method)
      assert((profile.predictors != null) == method.needsPredictor)
      val search = profile.calibration.search
      assert(search.buckets.size == profile.thresholds.length)
      search.buckets.forEach { bucket =>
        assert(bucket.loss <= search.maxLoss && bucket.bytes < 1, bucket)
      }
    }
    assert(own.find(null, null).isPresent)
    assert(own.find(Method.CATS, null).isEmpty)
    assert(own.find(Method.M_COUNTDOWN, new UnionStrategy.Own).isEmpty)
  }

  test("a profile of a built-in model is named like the model") {
    def read(path: String): SparsityProfile = ProfileFiles.read(path, model, new Configuration)
    assert(
      read("builtin:summarizer-20m/sparsity_profile.json").toJson ==
        new OwnProfiles(builtin).find(null, null).get.toJson)
    assert(refusal(read("builtin:summarizer-20m")).contains("sparsity_profile.json"))
    assert(refusal(read("builtin:summarizer-20m/cats.json")).contains("has no cats.json"))
    assert(refusal(read("builtin:other/sparsity_profile.json")).contains("no built-in model 'other'"))
  }

  test("a directory's profile of a method is found by its name, any by default") {
    val at = Files.createTempDirectory("rollcall")
    def file(name: String, method: String, union: String = "shared"): Path =
      Files.writeString(
        at.resolve(name),
        s"""{"format":1,"model_digest":"00","method":"$method","union":"$union","thresholds":[[0.1]]}""")
    Files.writeString(at.resolve("config.json"), "{}")
    def own = new OwnProfiles(ModelFiles.directory(at))
    assert(own.find(null, null).isEmpty)
    file("sparsity_profile.cats.json", "cats")
    assert(own.find(null, null).get.method == Method.CATS)
    file("sparsity_profile.json", "m-countdown", "own")
    assert(own.find(null, null).get.method == Method.M_COUNTDOWN)
    assert(own.find(Method.CATS, null).get.union == new UnionStrategy.Shared)
    assert(own.find(null, new UnionStrategy.Shared).get.method == Method.CATS)
    assert(own.find(Method.M_COUNTDOWN, new UnionStrategy.Shared).isEmpty)
  }
}
