package io.rollcall.jobs.training

import java.io.{ByteArrayOutputStream, PrintStream}
import java.nio.file.{Files, Paths}

import com.fasterxml.jackson.databind.ObjectMapper
import io.rollcall.engine.UserException
import io.rollcall.engine.sparsity.{Method, SparsityProfile, UnionStrategy}
import io.rollcall.jobs.{SparkSuite, UsageException}
import io.rollcall.jobs.command.RollcallCommand
import io.rollcall.jobs.generate.{Decoding, GenerateAction, Requests, SparsityRequest}
import io.rollcall.jobs.input.PromptSource
import io.rollcall.jobs.runtime.{BackendChoice, ModelSource}
import io.rollcall.kernels.WeightType

class TrainPredictorSuite extends SparkSuite {
  private def request(
      input: String,
      output: String,
      references: String = null,
      method: Method = Method.D_COUNTDOWN,
      rank: Integer = 8,
      folded: Boolean = true,
      precision: WeightType = WeightType.INT4,
      sparsity: Double = 0.6,
      positions: Int = 700,
      continuations: Int = 0,
      model: ModelSource = Requests.builtin): TrainPredictorRequest =
    new TrainPredictorRequest(
      PromptSource.of(input), references, model, method, new UnionStrategy.Shared(), sparsity, rank,
      folded, precision, positions, continuations, 2, Decoding.greedy(4, 8), output)

  private def train(request: TrainPredictorRequest): TrainPredictorResult =
    new TrainPredictorAction(spark, request).execute()

  private def refused(request: => TrainPredictorRequest): String = {
    val message = intercept[UserException](train(request)).getMessage
    assert(message.linesIterator.size == 1)
    message
  }

  private def usage(request: => TrainPredictorRequest): String =
    intercept[UsageException](request).getMessage

  test("a profile with its predictor comes out that generate runs with") {
    val input = prompts("in", Requests.documents(72): _*)
    val result = train(request(input, path("out/profile.json")))
    assert(result.predictor.endsWith("out/profile.safetensors"))
    val profile = result.profile
    assert(profile.method == Method.D_COUNTDOWN && profile.predictors.rank == 8)
    assert(profile.predictors.folded && profile.predictors.precision == WeightType.INT4)
    assert(profile.thresholds.length == 3)
    val training = profile.calibration.training
    assert(training.positions >= 300 && training.heldOut >= 32)
    assert(training.recall.length == 8)
    assert(training.recall.forall(r => r > 0.42 && r < 1), training.recall.mkString(" "))
    for (bucket <- profile.calibration.unionDensity; density <- bucket)
      assert(math.abs(density - 0.4) < 0.05)

    val json = Files.readString(Paths.get(path("out/profile.json")))
    assert(new ObjectMapper().readTree(json).get("calibration").get("training").get("rank").asInt == 8)
    val generated = new GenerateAction(
      spark,
      Requests(
        input, path("generations"),
        new SparsityRequest(null, null, path("out/profile.json"), null), batchSize = 4)).execute()
    assert(generated.profile.method == Method.D_COUNTDOWN)
    assert(generated.totals.errorRows == 0)
    assert(math.abs(generated.totals.unionDensity - 0.4) < 0.08)
  }

  test("references are learnt from where a column has them, sampled answers where they are asked for") {
    val session = spark
    import session.implicits._
    Requests.documents(72)
      .map { case (id, text) => (id, text, text.toUpperCase.take(30)) }
      .toDF("id", "prompt", "output")
      .write.parquet(path("in"))
    val forced = train(
      request(path("in"), path("s.json"), references = "output", method = Method.S_COUNTDOWN, folded = false,
        precision = WeightType.BF16))
    assert(forced.profile.method == Method.S_COUNTDOWN)
    assert(!forced.profile.predictors.folded && forced.profile.predictors.precision == WeightType.BF16)
    val greedy = train(request(path("in"), path("g.json"), positions = 2000))
    assert(forced.profile.calibration.training.positions != greedy.profile.calibration.training.positions)
    val more = train(request(path("in"), path("c.json"), positions = 2000, continuations = 2))
    assert(
      more.profile.calibration.training.positions >
        2 * greedy.profile.calibration.training.positions)
    assert(
      more.profile.calibration.training.heldOut == greedy.profile.calibration.training.heldOut)
  }

  test("what cannot be is refused in one line that says what to do") {
    val input = prompts("in", Requests.documents(10): _*)
    val output = path("profile.json")
    assert(usage(request(input, output, method = Method.CATS)).contains("d-countdown or s-countdown"))
    assert(usage(request(input, output, sparsity = 1)).contains("outside (0, 1)"))
    assert(usage(request(input, output, rank = 0)).contains("--rank 0"))
    assert(usage(request(input, output, positions = 0)).contains("--positions"))
    assert(
      usage(
        request(
          input, output,
          model = new ModelSource("builtin:summarizer-20m", WeightType.BF16, BackendChoice.CUDA)))
        .contains("--backend cpu"))
    assert(refused(request(input, output, rank = 385)).contains("hidden size 384"))
    assert(refused(request(input, output, references = "summary")).contains("--references-column"))
    val few = refused(request(input, output, rank = 64))
    assert(few.contains("at least 512 and 32"), few)
    assert(refused(request(prompts("one", Requests.documents(1): _*), output)).contains("1 row"))
    write("there.json", "")
    assert(refused(request(input, path("there.json"))).contains("exists already"))
    assert(!Files.exists(Paths.get(output)))
  }

  test("the command prints recall by layer, and the same predictors come out again") {
    val input = prompts("in", Requests.documents(72): _*)
    val again = train(request(input, path("again.json")))
    val out = new ByteArrayOutputStream
    val real = System.out
    System.setOut(new PrintStream(out, true))
    // the command closes its session
    val status =
      try
        RollcallCommand.run(
          "train-predictor", "--input", input, "--output", path("p.json"), "--sparsity", "0.6",
          "--rank", "8", "--epochs", "2", "--max-new-tokens", "8", "--batch-size", "4",
          "--backend", "cpu", "--positions", "700")
      finally System.setOut(real)
    assert(status == 0)
    val text = out.toString
    assert(text.contains("Recall  Precision") && text.contains("p.safetensors"), text)
    assert(text.linesIterator.count(_.matches(" +[0-7]  .*")) == 8, text)
    val bytes = Files.readAllBytes(Paths.get(path("p.safetensors")))
    assert(Files.readAllBytes(Paths.get(again.predictor)).sameElements(bytes))
    val profile = SparsityProfile.fromJson(
      Files.readString(Paths.get(path("p.json"))), "p", _ => bytes)
    assert(profile.thresholds.map(_.toSeq).toSeq == again.profile.thresholds.map(_.toSeq).toSeq)
  }
}
