package io.rollcall.jobs.evaluate

import java.nio.file.{Files, Paths}

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.sparsity.{Method, UnionStrategy}
import io.rollcall.jobs.SparkSuite
import io.rollcall.jobs.generate.{Decoding, Requests, SparsityRequest}
import io.rollcall.jobs.input.PromptSource
import io.rollcall.jobs.runtime.OwnProfiles

class EvaluateActionSuite extends SparkSuite {
  private val mapper = new ObjectMapper

  /** Documents whose references are their own first words. */
  private def corpus(n: Int, reference: String => String = _.split(" ").take(4).mkString(" ")): String = {
    val session = spark
    import session.implicits._
    Requests.documents(n).map { case (id, text) => (id, text, reference(text)) }
      .toDF("id", "prompt", "summary").write.parquet(path("corpus"))
    path("corpus")
  }

  private def pairs(methods: Seq[Method], sparsities: Seq[Double]): Seq[SparsityRequest] =
    EvaluateRequest.sparsities(
      Nil.asJava, methods.asJava, sparsities.map(Double.box).asJava, null).asScala.toSeq

  private def request(
      input: String,
      sparsities: Seq[SparsityRequest],
      output: String = path("out"),
      references: String = "summary",
      batchSize: Int = 4,
      partitions: Int = 2,
      maxLoss: Double = 0.05): EvaluateRequest =
    new EvaluateRequest(
      PromptSource.of(input), references, output, Requests.builtin, sparsities.asJava, maxLoss,
      Decoding.greedy(batchSize, 12), partitions)

  private def run(request: EvaluateRequest): EvaluateResult = new EvaluateAction(spark, request).execute()

  private def metrics(result: EvaluateResult): JsonNode =
    mapper.readTree(Files.readString(Paths.get(result.metrics)))

  private def refused(request: EvaluateRequest): String = {
    val message = intercept[UserException](run(request)).getMessage
    assert(message.linesIterator.size == 1)
    message
  }

  test("dense and each pair get a line of metrics, and the profiles are kept") {
    val sparsities = pairs(Seq(Method.M_COUNTDOWN, Method.S_COUNTDOWN_ORACLE), Seq(0.3, 0.8))
    val result = run(request(corpus(60), sparsities, maxLoss = 10))
    val all = metrics(result)
    val configs = all.get("configs").elements.asScala.toSeq
    assert(configs.map(c => (c.get("method").asText, c.get("sparsity").asDouble)) == Seq(
      "dense" -> 0.0, "m-countdown" -> 0.3, "m-countdown" -> 0.8,
      "s-countdown-oracle" -> 0.3, "s-countdown-oracle" -> 0.8))
    val fields = Seq(
      "method", "sparsity", "union", "batch_size", "profile", "perplexity", "token_accuracy",
      "rouge_l", "same_as_dense", "kl", "own_density", "union_density", "bytes_read", "bytes_dense",
      "decode_tokens_per_s")
    configs.foreach(c => assert(c.fieldNames.asScala.take(fields.size).toSeq == fields))
    assert(all.get("documents").asInt == 45 && all.get("calibration_documents").asInt == 15)
    val dense = configs.head
    assert(dense.get("kl").asDouble == 0 && dense.get("same_as_dense").asDouble == 1)
    assert(dense.get("bytes_read") == dense.get("bytes_dense"))
    for (c <- configs) {
      val interval = c.get("perplexity_interval")
      assert(interval.get("low").asDouble < c.get("perplexity").asDouble)
      assert(interval.get("high").asDouble > c.get("perplexity").asDouble)
      assert(c.get("tokens") == dense.get("tokens") && c.get("batch_size").asInt == 4)
    }
    for (figure <- Seq("token_accuracy", "rouge_l", "same_as_dense", "kl", "perplexity_loss"))
      assert(dense.has(s"${figure}_interval"), figure)
    val Seq(mild, harsh) = configs.slice(1, 3)
    assert(mild.get("kl").asDouble < harsh.get("kl").asDouble)
    assert(mild.get("bytes_read").asLong > harsh.get("bytes_read").asLong)
    assert(math.abs(harsh.get("union_density").asDouble - 0.2) < 0.1)
    assert(Files.exists(Paths.get(harsh.get("profile").asText)))
    assert(result.adoption.startsWith("Adopt m-countdown at sparsity 0.8"))
    assert(all.get("adopt") == harsh.get("profile"))
    assert(result.text.linesIterator.filterNot(_.contains("/")).forall(_.length <= 100), result.text)
  }

  test("the same request gives the same metrics again, and a kept profile those it had") {
    val input = corpus(40)
    def quality(result: EvaluateResult, config: Int): Seq[JsonNode] = {
      val node = metrics(result).get("configs").get(config)
      Seq("perplexity", "kl", "rouge_l", "same_as_dense", "union_density", "perplexity_interval")
        .map(node.get)
    }
    val first = run(request(input, pairs(Seq(Method.CATS), Seq(0.6))))
    val second = run(request(input, pairs(Seq(Method.CATS), Seq(0.6)), output = path("again")))
    assert(quality(first, 1) == quality(second, 1))
    val profile = metrics(first).get("configs").get(1).get("profile").asText
    val given = new SparsityRequest(null, null, profile, null)
    val third = metrics(run(request(input, Seq(given), output = path("third"))))
    assert(third.get("calibration_documents").asInt == 0 && third.get("documents").asInt == 40)
  }

  test("with nothing asked for the model's own profile is evaluated") {
    val result = run(request(corpus(24), Nil))
    val config = metrics(result).get("configs").get(1)
    val own = new OwnProfiles(ModelFiles.locate("builtin:summarizer-20m")).find(null, null).get
    assert(config.get("method").asText == own.method.toString && config.get("profile").isNull)
    assert(config.get("sparsity").asDouble == own.sparsity()(2))
  }

  test("bad input is named in one line") {
    val input = corpus(6)
    val some = pairs(Seq(Method.CATS), Seq(0.5))
    val column = refused(request(input, some, references = "gist"))
    assert(column.contains("no column 'gist'") && column.contains("--references-column"))
    val few = refused(request(input, some, batchSize = 16))
    assert(few.contains("has 6 documents") && few.contains("--batch-size"))
    val text = """{"format":1,"model_digest":"00","method":"cats","union":"own","thresholds":[[0.1]]}"""
    val other = write("other.json", text)
    val foreign = refused(request(input, Seq(new SparsityRequest(null, null, other, null))))
    assert(foreign.contains("other.json") && foreign.contains("digest 00"))
    val missing = refused(request(input, Seq(new SparsityRequest(null, null, path("none"), null))))
    assert(missing.contains("none' does not exist"))
  }

  test("references that are all empty are refused by their column") {
    val message = refused(request(corpus(6, _ => " "), Nil))
    assert(message.contains("none of the 6 rows") && message.contains("'summary'"))
  }
}
