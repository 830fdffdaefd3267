package io.rollcall.engine

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.ObjectMapper
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.runner.{Backend, LoadedModel, RunnerOptions, TokenBatch}
import io.rollcall.engine.sparsity.SparsityPlan
import io.rollcall.kernels.WeightType
import io.rollcall.kernels.cuda.CudaDevice

/**
 * A Llama of random weights that transformers saved (bench/rivals/make_random_llama.py made it),
 * against transformers' logits. On a device, where activations are f16, they may be as far from the f32
 * ones as transformers' own in bf16 are, twice. Another one is tested with
 * -Drollcall.random-llama=DIRECTORY.
 */
class RandomLlamaParitySuite extends AnyFunSuite {
  private lazy val directory: Path =
    Option(System.getProperty("rollcall.random-llama")).filter(_.nonEmpty).map(Path.of(_))
      .getOrElse(Documents.resource("parity/random-llama"))
  private lazy val expected = new ObjectMapper().readTree(Files.readString(directory.resolve("logits.json")))

  private def load(backend: Backend): LoadedModel = {
    val copy = Files.createTempDirectory("random-llama")
    val tokenizer = Seq("tokenizer.json", "tokenizer_config.json")
      .map(name => Documents.resource(s"io/rollcall/models/summarizer-20m/$name"))
    val checkpoint =
      Files.list(directory).iterator.asScala.filterNot(_.getFileName.toString == "logits.json").toSeq
    (checkpoint ++ tokenizer).foreach(file => Files.copy(file, copy.resolve(file.getFileName.toString)))
    Backends.load(ModelFiles.directory(copy), WeightType.BF16, backend, 0)
  }

  private final case class Error(largest: Double, rms: Double)

  /** Of every shown logit of every position; a prompt is read in passes of a few tokens. */
  private def error(model: LoadedModel, pass: Int): Error = {
    val errors = expected.get("cases").elements.asScala.toSeq.flatMap { c =>
      val tokens = c.get("tokens").elements.asScala.map(_.asInt).toIndexedSeq
      val runner = model.runner(
        SparsityPlan.dense(model.digest), RunnerOptions.greedy(pass, model.config.context, 2))
      try {
        assert(runner.reserve(0, tokens.size))
        tokens.indices.grouped(pass).toSeq.flatMap { positions =>
          val batch = new TokenBatch(pass)
          positions.foreach(i => batch.addLast(tokens(i), i, 0, null))
          runner.prefill(batch)
          val logits = runner.logits.clone()
          positions.zipWithIndex.flatMap { case (position, row) =>
            val shown = c.get("logits").get(position)
            shown.get("tokens").elements.asScala.zip(shown.get("f32").elements.asScala).map {
              case (token, value) =>
                math.abs(logits(row * model.config.vocabulary + token.asInt) - value.asDouble)
            }
          }
        }
      } finally runner.close()
    }
    Error(errors.max, math.sqrt(errors.map(e => e * e).sum / errors.size))
  }

  test("the CPU gives transformers' f32 logits") {
    val model = load(Backend.CPU)
    try {
      val found = error(model, 64)
      assert(found.largest < 2e-3)
    } finally model.close()
  }

  test("a device gives them within what transformers loses in bf16") {
    assume(!CudaDevice.all().isEmpty, CudaDevice.whyNone().orElse(""))
    val model = load(Backend.CUDA)
    try {
      for (pass <- Seq(5, 64)) {
        val found = error(model, pass)
        info(s"passes of $pass: $found")
        assert(found.rms < 2 * math.sqrt(expected.get("bf16_mean_square_difference").asDouble))
        assert(found.largest < 2 * expected.get("bf16_largest_difference").asDouble)
      }
    } finally model.close()
  }
}
