package io.rollcall.engine.calibration

import java.nio.file.{Files, Paths}

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.ObjectMapper
import org.tukaani.xz.XZInputStream

import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.runner.CpuModel
import io.rollcall.engine.sparsity.{Method, UnionStrategy}
import io.rollcall.kernels.WeightType

/**
 * Writes the profile that ships with the built-in model: m-countdown with union shared, at sparsities
 * that fall as the batch grows, since each sequence then calls fewer of the rows it computes with.
 *
 * {{{
 * MakeBuiltinProfile summaries-valid.jsonl.xz engine/src/main/resources/io/rollcall/models/summarizer-20m/sparsity_profile.json
 * }}}
 */
object MakeBuiltinProfile {
  private val batchSize = 64
  private val documents = 500
  private val sparsityByBucket = Array(0.5, 0.4, 0.3, 0.2, 0.17, 0.14, 0.11)

  def main(args: Array[String]): Unit = {
    val model = CpuModel.load(ModelFiles.locate("builtin:summarizer-20m"), WeightType.BF16)
    val mapper = new ObjectMapper
    val source = scala.io.Source.fromInputStream(
      new XZInputStream(Files.newInputStream(Paths.get(args(0)))), "UTF-8")
    val texts = source.getLines().take(documents).map(mapper.readTree(_).get("document").asText).toSeq
    val profile = Calibrator.calibrate(
      model, Method.M_COUNTDOWN, new UnionStrategy.Shared, sparsityByBucket, batchSize, 40,
      model.template, texts.asJava, s"$documents package descriptions with one-line summaries", 2)
    Files.writeString(Paths.get(args(1)), profile.toJson + "\n")
    model.close()
  }
}
