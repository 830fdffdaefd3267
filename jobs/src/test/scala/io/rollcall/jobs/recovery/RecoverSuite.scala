package io.rollcall.jobs.recovery

import java.io.{ByteArrayOutputStream, PrintStream}
import java.nio.file.{Files, Paths}

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.model.ModelReader
import io.rollcall.engine.sparsity._
import io.rollcall.jobs.{SparkSuite, UsageException}
import io.rollcall.jobs.command.RollcallCommand
import io.rollcall.jobs.evaluate.{EvaluateAction, EvaluateRequest}
import io.rollcall.jobs.generate.{Decoding, GenerateAction, Requests, SparsityRequest}
import io.rollcall.jobs.input.{PromptSource, PromptTable}
import io.rollcall.jobs.runtime.{BackendChoice, ModelSource}
import io.rollcall.kernels.WeightType

class RecoverSuite extends SparkSuite {
  private lazy val digest: String = {
    val model = ModelReader.described(ModelFiles.locate("builtin:summarizer-20m"))
    try model.digest
    finally model.close()
  }

  /** Thresholds that drop most rows. */
  private def profile(name: String, of: String = digest, method: Method = Method.CATS): String = {
    val thresholds = Array.fill(1)(Array.fill(8)(0.5f))
    val sparse = new SparsityProfile(of, method, new UnionStrategy.Shared, Array(0.7), thresholds, null)
    write(name, sparse.toJson)
  }

  private def corpus(n: Int, reference: String => String = _.toUpperCase.take(25)): String = {
    val session = spark
    import session.implicits._
    Requests.documents(n)
      .map { case (id, text) => (id, text, reference(text)) }
      .toDF("id", "prompt", "summary")
      .write.parquet(path("in"))
    path("in")
  }

  private def request(
      input: String,
      profile: String,
      output: String = path("out/recovered.json"),
      references: String = "summary",
      rank: Integer = 4,
      layersPerPass: Integer = null,
      model: ModelSource = Requests.builtin): RecoverRequest =
    new RecoverRequest(
      PromptSource.of(input), references, model, profile, rank, layersPerPass, Decoding.greedy(4, 8), output)

  private def recover(request: RecoverRequest): RecoverResult =
    new RecoverAction(spark, request).execute()

  private def refused(request: => RecoverRequest): String = {
    val message = intercept[UserException](recover(request)).getMessage
    assert(message.linesIterator.size == 1)
    message
  }

  test("a profile with corrections comes out that generate and evaluate run with, bytes counted") {
    val (input, plain) = (corpus(48), profile("plain.json"))
    val result = recover(request(input, plain))
    assert(result.tensors.endsWith("out/recovered.safetensors"))
    val fitting = result.profile.corrections.fitting
    assert(fitting.documents == 36 && fitting.positions > 200 && fitting.heldOut > 20)
    assert(fitting.rank.forall(r => r == 0 || r == 4) && fitting.rank.max == 4)
    assert(fitting.remaining.forall(_ < 1), fitting.remaining.mkString(" "))
    assert(result.profile.corrections.parameters <= 0.01 * result.modelParameters)
    assert(result.modelParameters == 20453760)

    def evaluated(file: String, output: String): JsonNode = {
      val evaluation = new EvaluateAction(
        spark,
        new EvaluateRequest(
          PromptSource.of(input), "summary", path(output), Requests.builtin,
          java.util.List.of(new SparsityRequest(null, null, file, null)), 0.05,
          Decoding.greedy(4, 8), 1)).execute()
      new ObjectMapper().readTree(Files.readString(Paths.get(path(output), "metrics.json"))).get("configs").get(1)
    }
    val (without, corrected) = (evaluated(plain, "a"), evaluated(path("out/recovered.json"), "b"))
    assert(corrected.get("correction_rank").asInt == 4 && without.get("correction_rank").isNull)
    assert(corrected.get("kl").asDouble < 0.9 * without.get("kl").asDouble)
    // a bias and a map are read in every layer and step, in bf16 as the weights
    val (d, f) = (384.0, 1536.0)
    val steps = corrected.get("bytes_dense").asDouble / (8 * 2 * 3 * d * f)
    val rows = 8 * 2 * d * f * (1 + 2 * corrected.get("union_density").asDouble)
    val corrections = fitting.rank.map(r => 2 * (d + 2 * r * d)).sum
    assert(math.abs(corrected.get("bytes_read").asDouble / (steps * (rows + corrections)) - 1) < 1e-9)

    val generated = new GenerateAction(
      spark,
      Requests(
        input, path("generations"),
        new SparsityRequest(null, null, path("out/recovered.json"), null), batchSize = 4)).execute()
    assert(generated.totals.errorRows == 0)
    assert(generated.profile.corrections.fitting.batchSize == 4)
    val record = new ObjectMapper()
      .readTree(Files.readString(Paths.get(path("generations"), "runs", generated.runId + ".json")))
    val named = record.get("profile").get("corrections")
    assert(named.get("file").asText == "recovered.safetensors" && !named.has("layers"), named)
  }

  test("the command fits to the model's own answers, a layer a pass, and says what is left of the error") {
    val (input, plain) = (corpus(12), profile("plain.json"))
    val out = new ByteArrayOutputStream
    val real = System.out
    System.setOut(new PrintStream(out, true))
    // the command closes its session
    val status =
      try
        RollcallCommand.run(
          "recover", "--input", input, "--profile", plain, "--output", path("r.json"), "--rank", "0",
          "--max-new-tokens", "6", "--batch-size", "2", "--backend", "cpu", "--layers-per-pass", "4")
      finally System.setOut(real)
    assert(status == 0)
    val text = out.toString
    assert(text.contains("Corrections of cats, union shared, batch size 2: 9 documents"), text)
    assert(text.contains("6,144 parameters, 0.03 % of the model's"), text)
    assert(text.linesIterator.count(_.matches(" +[0-7]  +0  +[0-9]+ %")) == 8, text)
    val again = recover(
      new RecoverRequest(
        PromptSource.of(input), null, Requests.builtin, plain, 0, 4, Decoding.greedy(2, 6), path("again.json")))
    def tensors(name: String) = Files.readAllBytes(Paths.get(path(name)))
    assert(tensors("again.safetensors").sameElements(tensors("r.safetensors")))
  }

  test("what cannot be is refused in one line that says what to do") {
    val (input, plain) = (corpus(10), profile("plain.json"))
    assert(refused(request(input, plain, rank = 60)).contains("at most 31"))
    val foreign = refused(request(input, profile("other.json", of = "00")))
    assert(foreign.contains("digest 00") && foreign.contains("calibrate"))
    val dense = write("dense.json", SparsityProfile.dense(digest).toJson)
    assert(refused(request(input, dense)).contains("dense drops nothing"))
    assert(refused(request(input, plain, references = "gist")).contains("no column 'gist'"))
    assert(refused(request(input, path("none.json"))).contains("none.json' does not exist"))
    write("there.json", "")
    assert(refused(request(input, plain, output = path("there.json"))).contains("exists already"))
    write("half.safetensors", "")
    assert(refused(request(input, plain, output = path("half.json"))).contains("half.safetensors"))
    def usage(request: => RecoverRequest) = intercept[UsageException](request).getMessage
    assert(usage(request(input, plain, rank = -1)).contains("--rank -1"))
    assert(usage(request(input, plain, layersPerPass = 0)).contains("--layers-per-pass 0"))
    val cuda = new ModelSource("builtin:summarizer-20m", WeightType.BF16, BackendChoice.CUDA)
    assert(usage(request(input, plain, model = cuda)).contains("--backend cpu"))
  }

  test("corrections are checked on documents that they were not fitted to, and those that do harm not written") {
    val input = corpus(64, identity)
    val check = recover(request(input, profile("plain.json"))).profile.corrections.fitting.check
    assert(check.documents == 16 && check.correctedDivergence < 0.9 * check.sparseDivergence, check)

    // what is fitted to is nothing like what is held out
    val heldOut = PromptTable.open(spark, PromptSource.of(input), "summary").referenced(16).asScala
    val session = spark
    import session.implicits._
    Requests.documents(64)
      .map { case (id, text) => (id, if (heldOut.exists(_.id == id)) text else "0 0 0 0 0 0 0 0 0 0") }
      .map { case (id, text) => (id, text, text) }
      .toDF("id", "prompt", "summary")
      .write.parquet(path("odd"))
    val harm = refused(request(path("odd"), path("plain.json"), output = path("harm.json"), rank = 0))
    assert(harm.contains("rank 0 do harm") && harm.contains("16 held-out documents"), harm)
    assert(!Files.exists(Paths.get(path("harm.json"))) && !Files.exists(Paths.get(path("harm.safetensors"))))
  }

  test("references that are all empty are refused by their column") {
    val message = refused(request(corpus(6, _ => " "), profile("plain.json")))
    assert(message.contains("none of the 6 rows") && message.contains("'summary'"))
  }
}
