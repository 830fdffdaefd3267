package io.rollcall.engine

import java.nio.file.{Files, Path, Paths}

import scala.io.{Codec, Source}
import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite
import org.tukaani.xz.XZInputStream

import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.generation.{GenerationOptions, Generator, Prompt}
import io.rollcall.engine.runner.{CpuModel, RunnerOptions, TokenBatch}
import io.rollcall.engine.sparsity.SparsityPlan
import io.rollcall.kernels.WeightType

/**
 * Dense answers against transformers' own, both in f32 arithmetic on bf16 weights. The fixtures in
 * src/test/resources/parity were made by make_parity_fixture.py there. The thousand documents lie in
 * the folder shared/ beside the project, where it is there:
 *
 * {{{
 * ./mvnw -pl kernels,engine test -DwildcardSuites=io.rollcall.engine.TransformersParitySuite
 * }}}
 */
class TransformersParitySuite extends AnyFunSuite with BeforeAndAfterAll {
  private lazy val model =
    CpuModel.load(ModelFiles.locate("builtin:summarizer-20m"), WeightType.BF16)

  override def afterAll(): Unit = model.close()

  private def assertLogits(logits: Array[Float], offset: Int, expected: JsonNode, clue: String): Unit =
    for (pair <- expected.elements.asScala) {
      val (token, value) = (pair.get(0).asInt, pair.get(1).asDouble)
      val actual = logits(offset + token)
      assert(math.abs(actual - value) < 2e-3 * (1 + math.abs(value)), s"$clue, token $token")
    }

  private def prefill(model: CpuModel, tokens: Seq[Int], everyToken: Boolean): Array[Float] = {
    val slots = if (everyToken) tokens.size else 1
    val runner = model.runner(
      SparsityPlan.dense(model.digest), RunnerOptions.greedy(slots, model.config.context, 2))
    try {
      val batch = new TokenBatch(tokens.size)
      for ((t, i) <- tokens.zipWithIndex)
        if (everyToken || i == tokens.size - 1) batch.addLast(t, i, 0, null) else batch.add(t, i, 0)
      runner.prefill(batch)
      runner.logits.clone()
    } finally runner.close()
  }

  private def ints(node: JsonNode): Seq[Int] = node.elements.asScala.map(_.asInt).toSeq

  test("prompts of the fixture get transformers' tokens, logits and greedy text") {
    val cases = Documents.json("parity/summarizer-20m.json").elements.asScala.toSeq
    val prompts = cases.map(_.get("document").asText).zipWithIndex.map { case (d, i) => new Prompt(i.toString, d) }
    for ((c, prompt) <- cases.zip(prompts)) {
      val tokens = model.template.encode(prompt.text).toSeq
      assert(tokens === ints(c.get("prompt")))
      assertLogits(prefill(model, tokens, everyToken = false), 0, c.get("logits"), prompt.text)
    }
    val generator = new Generator(
      model, SparsityPlan.dense(model.digest), model.template,
      GenerationOptions.greedy(5, 40, 256), 2, prompts.iterator.asJava)
    try {
      val answers = generator.asScala.map(g => g.id -> g).toMap
      for ((c, i) <- cases.zipWithIndex) {
        val answer = answers(i.toString)
        assert(answer.output === c.get("text").asText)
        assert(answer.outputTokens === c.get("output").size)
      }
    } finally generator.close()
  }

  for (name <- Seq("tiny-llama3", "tiny-device"))
    test(s"$name, with scaled rotary embeddings and an untied head, gets transformers' logits") {
      val expected = Documents.json(s"parity/$name.json")
      val tiny = CpuModel.load(ModelFiles.directory(Documents.tinyCheckpoint(name)), WeightType.BF16)
      val tokens = ints(expected.get("tokens"))
      val logits = prefill(tiny, tokens, everyToken = true)
      for ((row, i) <- expected.get("logits").elements.asScala.zipWithIndex)
        assertLogits(logits, i * tiny.config.vocabulary, row, s"position $i")
    }

  test("at least 99 % of a thousand documents get transformers' greedy answer") {
    val file: Path = Paths.get(System.getProperty("rollcall.root", "."))
      .resolve("../shared/data/summaries-test.jsonl.xz")
    assume(Files.exists(file), s"$file is not there")
    val mapper = new ObjectMapper
    val source = Source.fromInputStream(new XZInputStream(Files.newInputStream(file)))(Codec.UTF8)
    val rows = try source.getLines().map(mapper.readTree).toVector finally source.close()
    val generator = new Generator(
      model, SparsityPlan.dense(model.digest), model.template,
      GenerationOptions.greedy(32, 40, model.config.context), 2,
      rows.iterator.map(r => new Prompt(r.get("id").asText, r.get("document").asText)).asJava)
    try {
      val answers = generator.asScala.map(g => g.id -> g.output.strip).toMap
      assert(answers.size === rows.size)
      val same = rows.count(r => answers(r.get("id").asText) == r.get("dense_greedy").asText)
      info(s"$same of ${rows.size} answers are transformers' own")
      assert(same >= 0.99 * rows.size)
    } finally generator.close()
  }
}
