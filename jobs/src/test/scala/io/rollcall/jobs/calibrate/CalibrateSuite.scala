package io.rollcall.jobs.calibrate

import java.io.{ByteArrayOutputStream, PrintStream}
import java.nio.file.{Files, Paths}

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.ObjectMapper
import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.sparsity.{Method, SparsityProfile, UnionStrategy}
import io.rollcall.jobs.{SparkSuite, UsageException}
import io.rollcall.jobs.command.RollcallCommand
import io.rollcall.jobs.evaluate.{EvaluateAction, EvaluateRequest}
import io.rollcall.jobs.generate.{Decoding, GenerateAction, Requests, SparsityRequest}
import io.rollcall.jobs.input.PromptSource
import io.rollcall.jobs.recovery.{RecoverAction, RecoverRequest}
import io.rollcall.jobs.runtime.{BackendChoice, ModelSource, OwnProfiles}

class CalibrateSuite extends SparkSuite {
  private def request(
      input: String,
      output: String,
      references: String = null,
      method: Method = Method.M_COUNTDOWN,
      profile: String = null,
      union: UnionStrategy = null,
      sparsity: java.lang.Double = 0.5,
      maxLoss: java.lang.Double = null,
      uniform: Boolean = false,
      largestOnly: Boolean = false,
      neuronScales: java.lang.Boolean = null,
      batchSize: Int = 4,
      newTokens: Int = 8,
      backend: BackendChoice = BackendChoice.CPU): CalibrateRequest =
    new CalibrateRequest(
      PromptSource.of(input), references,
      new ModelSource(Requests.builtin.name, Requests.builtin.weights, backend), method, profile, union, sparsity, maxLoss,
      uniform, largestOnly, neuronScales, Decoding.greedy(batchSize, newTokens), output)

  private def calibrate(request: CalibrateRequest): SparsityProfile =
    new CalibrateAction(spark, request).execute().profile

  private def written(name: String): SparsityProfile =
    SparsityProfile.fromJson(
      Files.readString(Paths.get(path(name))), name, file => Files.readAllBytes(Paths.get(path(file))))

  private def scales(profile: SparsityProfile): Seq[Seq[Short]] =
    profile.neuronScales.layers.asScala.toSeq.map(_.toSeq)

  private def refused(request: => CalibrateRequest): String = {
    val message = intercept[UserException](calibrate(request)).getMessage
    assert(message.linesIterator.size == 1)
    message
  }

  private def usage(request: => CalibrateRequest): String =
    intercept[UsageException](request).getMessage

  private def referenced(name: String, rows: Seq[(String, String, String)]): String = {
    val session = spark
    import session.implicits._
    rows.toDF("id", "prompt", "output").write.parquet(path(name))
    path(name)
  }

  test("a profile has the sparsity asked for in every bucket and layer, and generate runs with it") {
    val input = prompts("in", Requests.documents(96): _*)
    val profile = calibrate(request(input, path("p.json"), sparsity = 0.6))
    assert(profile.thresholds.length == 3)
    val calibration = profile.calibration
    assert(calibration.prompts == 96 && calibration.rankError < 0.002)
    for (bucket <- calibration.unionDensity; density <- bucket)
      assert(math.abs(density - 0.4) < 0.002)
    assert(calibration.ownSpread.flatten.forall(s => s > 0 && s < 0.2))
    val generated = new GenerateAction(
      spark,
      Requests(
        input, path("generations"), new SparsityRequest(null, null, path("p.json"), null),
        batchSize = 4)).execute()
    assert(math.abs(generated.totals.unionDensity - 0.4) < 0.05)
  }

  test("predictors get thresholds anew and stay what they are") {
    val input = prompts("in", Requests.documents(96): _*)
    val shipped = new OwnProfiles(ModelFiles.locate("builtin:summarizer-20m"))
      .find(Method.D_COUNTDOWN, null).get
    val profile = calibrate(
      request(
        input, path("p.json"), method = null,
        profile = "builtin:summarizer-20m/sparsity_profile.d-countdown.json", sparsity = 0.6))
    assert(profile.method == Method.D_COUNTDOWN && profile.predictors.file == "p.safetensors")
    assert(profile.predictors.write.sameElements(shipped.predictors.write))
    assert(Files.readAllBytes(Paths.get(path("p.safetensors"))).sameElements(profile.tensors))
    for (bucket <- profile.calibration.unionDensity; density <- bucket)
      assert(math.abs(density - 0.4) < 0.005)
    assert(profile.calibration.training.recall.toSeq == shipped.calibration.training.recall.toSeq)
  }

  test("predictors' thresholds come from the CPU whatever the backend, which need not be there") {
    val input = prompts("in", Requests.documents(96): _*)
    val thresholds = Seq(BackendChoice.CPU, BackendChoice.CUDA).map { backend =>
      calibrate(
        request(
          input, path(s"$backend.json"), method = null,
          profile = "builtin:summarizer-20m/sparsity_profile.d-countdown.json", sparsity = 0.6, backend = backend))
        .thresholds.map(_.toSeq).toSeq
    }
    assert(thresholds(0) == thresholds(1))
  }

  test("another order of rows and another cluster give the same file, references another one") {
    val documents = Requests.documents(96).map { case (id, text) => (id, text, text.take(30)) }
    val input = referenced("in", documents)
    val again = referenced("again", documents.reverse)
    calibrate(request(input, path("a.json"), union = new UnionStrategy.Own))
    spark.conf.set("spark.sql.shuffle.partitions", "5")
    try calibrate(request(again, path("b.json"), union = new UnionStrategy.Own))
    finally spark.conf.set("spark.sql.shuffle.partitions", "2")
    def thresholds(name: String) = SparsityProfile
      .fromJson(Files.readString(Paths.get(path(name))), name, _ => null).thresholds.map(_.toSeq).toSeq
    assert(thresholds("a.json") == thresholds("b.json"))
    calibrate(request(input, path("c.json"), references = "output", union = new UnionStrategy.Own))
    assert(thresholds("c.json") != thresholds("a.json"))
  }

  test("a search gathers neuron scales, and generate and evaluate run with them, their bytes counted") {
    val documents = Requests.documents(64).map { case (id, text) => (id, text, text.take(12)) }
    val input = referenced("in", documents)
    val profile = calibrate(
      request(
        input, path("p.json"), references = "output", sparsity = null, maxLoss = 0.3, uniform = true,
        largestOnly = true, batchSize = 2))
    for (layer <- written("p.json").neuronScales.floats.asScala) {
      assert(layer.length == 1536 && math.abs(layer.sum / 1536 - 1) < 0.01)
      assert(layer.max > 2 * layer.min, "they say something")
    }
    assert(scales(written("p.json")) == scales(profile))
    val given = new SparsityRequest(null, null, path("p.json"), null)
    val generated = new GenerateAction(
      spark, Requests(input, path("generations"), given, batchSize = 2)).execute()
    assert(generated.profile.neuronScales.file == "p.safetensors")
    val density = generated.totals.unionDensity
    assert(density < 0.95 && density < 1 - profile.sparsity()(0) + 0.1, density)
    val record = new ObjectMapper()
      .readTree(Files.readString(Paths.get(path("generations"), "runs", generated.runId + ".json")))
    assert(record.get("profile").get("neuron_scales").asText == "p.safetensors")
    val metrics = new EvaluateAction(
      spark,
      new EvaluateRequest(
        PromptSource.of(input), "output", path("quality"), Requests.builtin,
        java.util.List.of(given), 0.05, Decoding.greedy(2, 8), 1)).execute().metrics
    val scaled = new ObjectMapper().readTree(Files.readString(Paths.get(metrics))).get("configs").get(1)
    val (d, f) = (384.0, 1536.0)
    val layerSteps = scaled.get("bytes_dense").asDouble / (2 * 3 * d * f)
    val bytes = 2 * d * f * (1 + 2 * scaled.get("union_density").asDouble) + 2 * f
    assert(math.abs(scaled.get("bytes_read").asDouble / (layerSteps * bytes) - 1) < 1e-9)
  }

  test("neuron scales are there as the options and the profile say, whatever the order of rows") {
    val documents = Requests.documents(48)
    val input = prompts("in", documents: _*)
    val own = new UnionStrategy.Own
    val plain = calibrate(request(input, path("plain.json"), union = own, batchSize = 1))
    assert(plain.neuronScales == null && !Files.exists(Paths.get(path("plain.safetensors"))))
    val scaled =
      calibrate(request(input, path("scaled.json"), union = own, batchSize = 1, neuronScales = true))
    assert(scaled.thresholds()(0).toSeq != plain.thresholds()(0).toSeq)
    for (density <- scaled.calibration.ownDensity()(0)) assert(math.abs(density - 0.5) < 0.002)
    val again = calibrate(
      request(
        prompts("again", documents.reverse: _*), path("again.json"), union = own, batchSize = 1,
        neuronScales = true))
    assert(scales(again) == scales(scaled) && again.thresholds()(0).toSeq == scaled.thresholds()(0).toSeq)

    val others = prompts("others", Requests.documents(64).drop(24): _*)
    def from(given: String, output: String, method: Method = null, neuronScales: java.lang.Boolean = null) =
      calibrate(
        request(
          others, path(output + ".json"), method = method, profile = path(given), sparsity = 0.3,
          batchSize = 1, neuronScales = neuronScales))
    val kept = from("scaled.json", "kept")
    assert(scales(kept) == scales(scaled) && kept.neuronScales.file == "kept.safetensors")
    assert(scales(written("kept.json")) == scales(scaled))
    assert(from("scaled.json", "left", neuronScales = false).neuronScales == null)
    assert(from("scaled.json", "cats", Method.CATS).neuronScales == null, "they are of another factor")
    val cats = from("scaled.json", "cats2", Method.CATS, neuronScales = true)
    assert(scales(cats) != scales(scaled))
    val oracle = from("scaled.json", "oracle", Method.D_COUNTDOWN_ORACLE)
    assert(oracle.neuronScales == null)
    val profiled = intercept[UsageException](from("oracle.json", "no", neuronScales = true)).getMessage
    assert(profiled.contains("d-countdown-oracle leaves out none"), profiled)
  }

  test("what cannot be is refused in one line that says what to do") {
    val input = prompts("in", Requests.documents(20): _*)
    val output = path("p.json")
    assert(usage(request(input, output, sparsity = 1.0)).contains("outside (0, 1)"))
    assert(usage(request(input, output, sparsity = null)).contains("--max-loss"))
    assert(usage(request(input, output, maxLoss = 0.1)).contains("exclude each other"))
    assert(usage(request(input, output, sparsity = null, maxLoss = 0.0)).contains("not above 0"))
    assert(usage(request(input, output, method = Method.D_COUNTDOWN)).contains("train-predictor"))
    assert(usage(request(input, output, method = Method.DENSE)).contains("no thresholds"))
    assert(usage(request(input, output, method = null)).contains("--method"))
    assert(usage(request(input, output, uniform = true)).contains("--max-loss"))
    assert(usage(request(input, output, largestOnly = true)).contains("--max-loss"))
    for (given <- Seq(true, false))
      assert(usage(request(input, output, method = Method.S_COUNTDOWN_ORACLE, neuronScales = given))
        .contains("--neuron-scales is of cats and m-countdown"))
    assert(refused(request(input, output, references = "summary")).contains("--references-column"))
    val small = refused(request(input, output, batchSize = 16))
    assert(small.contains("too small") && small.contains("32 are enough"), small)
    val empty = referenced("empty", Requests.documents(20).map { case (id, text) => (id, text, " ") })
    val none = refused(request(empty, output, references = "output"))
    assert(none.contains("none of the 20 rows") && none.contains("--references-column"), none)
    assert(refused(request(input, output, profile = path("none.json"))).contains("does not exist"))
    write("there.json", "")
    assert(refused(request(input, path("there.json"))).contains("exists already"))
    assert(refused(request(input, path("there.json/below.json"))).contains("cannot write output"))
    assert(!Files.exists(Paths.get(output)))
  }

  test("a search keeps within its loss on documents held out, and its thresholds read fewer bytes") {
    val documents = Requests.documents(64).map { case (id, text) => (id, text, text.take(6)) }
    val input = referenced("in", documents)
    val profile = calibrate(
      request(
        input, path("p.json"), references = "output", sparsity = null, maxLoss = 0.1, batchSize = 2))
    val search = profile.calibration.search
    assert(search.heldOut == 16 && search.searched == 48)
    assert(profile.calibration.prompts == 48)
    assert(search.buckets.asScala.map(_.batchSize) == Seq(1, 2))
    for ((bucket, k) <- search.buckets.asScala.zipWithIndex) {
      assert(bucket.loss <= 0.1 && bucket.uniformLoss <= 0.1)
      assert(bucket.bytes < 0.95)
      assert(math.abs(profile.sparsity()(k) - bucket.sparsity.sum / 8) < 1e-9)
      assert(bucket.sparsity.distinct.length > 1, "layers differ")
      for (layer <- 0 until 8)
        assert(
          math.abs(profile.calibration.unionDensity()(k)(layer) - 1 + bucket.sparsity()(layer)) < 0.002)
    }
    val read = written("p.json")
    assert(read.calibration.search.buckets.size == 2)
    assert(read.thresholds.map(_.toSeq).toSeq == profile.thresholds.map(_.toSeq).toSeq)
  }

  test("a search with corrections in place measures with them and keeps them") {
    val input = referenced(
      "in", Requests.documents(64).map { case (id, text) => (id, text, text.take(12)) })
    def searched(output: String, method: Method, given: String): SparsityProfile =
      calibrate(
        request(
          input, path(output), references = "output", method = method, profile = given,
          union = new UnionStrategy.Own, sparsity = null, maxLoss = 0.2, batchSize = 2))
    val plain = searched("plain.json", Method.CATS, null)
    assert(plain.corrections == null)
    new RecoverAction(
      spark,
      new RecoverRequest(
        PromptSource.of(input), "output", Requests.builtin, path("plain.json"), 8, null,
        Decoding.greedy(2, 8), path("recovered.json"))).execute()
    val kept = searched("again.json", null, path("recovered.json"))
    val read = written("again.json")
    assert(read.corrections.layers.size == 8 && read.corrections.rank == 8)
    assert(scales(written("recovered.json")) == scales(plain) && scales(read) == scales(plain))
    for (profile <- Seq(plain, kept)) assert(profile.calibration.search.buckets.get(0).loss <= 0.2)
    def found(profile: SparsityProfile) =
      (profile.thresholds()(0).toSeq, profile.calibration.search.buckets.get(0).loss)
    assert(found(kept) != found(plain))
  }

  test("of the largest batches alone a search is made, and smaller ones get what it found") {
    val input = referenced(
      "in", Requests.documents(64).map { case (id, text) => (id, text, text.take(6)) })
    val profile = calibrate(
      request(
        input, path("p.json"), references = "output", sparsity = null, maxLoss = 0.2, uniform = true,
        largestOnly = true, batchSize = 4))
    assert(profile.calibration.search.buckets.asScala.map(_.batchSize) == Seq(4))
    assert(profile.sparsity.length == 3 && profile.sparsity.distinct.length == 1)
    for (bucket <- profile.calibration.unionDensity; density <- bucket)
      assert(math.abs(density - 1 + profile.sparsity()(0)) < 0.002)
    assert(profile.thresholds()(0)(3) < profile.thresholds()(2)(3))
  }

  test("a budget that nothing keeps within is refused with the least loss there is") {
    val input = prompts("in", Requests.documents(64): _*)
    val message = refused(
      request(
        input, path("p.json"), union = new UnionStrategy.Budget(0.05), sparsity = null, maxLoss = 0.001,
        batchSize = 1, newTokens = 3))
    assert(message.contains("the least that can be reached is"), message)
    assert(!Files.exists(Paths.get(path("p.json"))))
    val small = refused(
      request(
        prompts("few", Requests.documents(40): _*), path("p.json"), sparsity = null, maxLoss = 0.1,
        batchSize = 2))
    assert(small.contains("40 documents") && small.contains("64 are enough"), small)
  }

  test("the command prints what each batch bucket got") {
    val input = prompts("in", Requests.documents(64): _*)
    // the command closes its session
    def command(options: String*): String = {
      val out = new ByteArrayOutputStream
      val real = System.out
      System.setOut(new PrintStream(out, true))
      val common = Seq(
        "calibrate", "--input", input, "--sparsity", "0.6", "--max-new-tokens", "8", "--batch-size", "4",
        "--backend", "cpu")
      try assert(RollcallCommand.run(common ++ options: _*) == 0)
      finally System.setOut(real)
      val text = out.toString
      assert(text.linesIterator.count(_.matches(" +[124] +0\\.600 .*")) == 3, text)
      text
    }
    val scaled = command("--method", "cats", "--neuron-scales", "--output", path("p.json"))
    assert(scaled.contains("p.json") && scaled.contains("cats with neuron scales, union shared"), scaled)
    assert(scales(written("p.json")).size == 8)
    val plain = command("--profile", path("p.json"), "--no-neuron-scales", "--output", path("q.json"))
    assert(plain.contains("cats, union shared") && written("q.json").neuronScales == null, plain)
  }
}
