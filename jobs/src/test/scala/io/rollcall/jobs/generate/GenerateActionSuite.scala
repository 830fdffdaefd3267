package io.rollcall.jobs.generate

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import io.rollcall.engine.UserException
import io.rollcall.engine.generation.{GenerationOptions, Generator, Prompt}
import io.rollcall.engine.runner.{CpuModel, CpuModelRunner, RunnerOptions}
import io.rollcall.engine.sparsity.{BatchBuckets, Crossover, Method, SparsityPlan, UnionStrategy}
import io.rollcall.jobs.{SparkSuite, UsageException}
import io.rollcall.jobs.input.PromptSource
import io.rollcall.jobs.output.WriteMode
import io.rollcall.jobs.runtime.{BackendChoice, ModelRegistry, ModelSource}
import io.rollcall.kernels.WeightType
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.Row
import org.apache.spark.sql.functions.{col, sum}

class GenerateActionSuite extends SparkSuite {
  private def run(request: GenerateRequest): GenerateResult =
    new GenerateAction(spark, request).execute()

  private def outputs(output: String): Map[String, String] = {
    val rows = table(output, "generations").select("id", "output").collect()
    assert(rows.map(_.getString(0)).distinct.length == rows.length)
    rows.map(row => row.getString(0) -> row.getString(1)).toMap
  }

  private def tableFiles(output: String): Set[String] =
    for (name <- Set("generations", "sparsity"); file <- new java.io.File(s"$output/$name").list.toSet[String])
      yield s"$name/$file"

  private def errors(output: String): Map[String, String] =
    table(output, "generations")
      .filter(col("finish_reason") === "error")
      .select("id", "error")
      .collect()
      .map(row => row.getString(0) -> row.getString(1))
      .toMap

  private def record(result: GenerateResult): JsonNode =
    new ObjectMapper().readTree(new java.io.File(s"${result.output}/runs/${result.runId}.json"))

  private def refused(request: GenerateRequest): String = {
    val message = intercept[UserException](run(request)).getMessage
    assert(message.linesIterator.size == 1)
    message
  }

  test("with union own, batch size and partitions do not change a byte of 200 generations") {
    val input = prompts("in", Requests.documents(200): _*)
    val profile = calibrated(input)
    val runs = for (batch <- Seq(1, 5, 32); partitions <- Seq(1, 7)) yield {
      val output = path(s"out-$batch-$partitions")
      run(
        Requests(
          input,
          output,
          sparsity = new SparsityRequest(null, null, profile, null),
          batchSize = batch,
          partitions = partitions))
      outputs(output)
    }
    assert(runs.head.size == 200)
    assert(runs.head.values.count(_.nonEmpty) > 150)
    runs.tail.foreach(run => assert(run == runs.head))
  }

  /** Thresholds of buckets up to 32, found once: calibration depends on the batch size. */
  private def calibrated(input: String): String = {
    val result = run(
      Requests(input, path("calibration"), Requests.own(0.6), batchSize = 32)
        .withPartitions(2))
    write("profile.json", result.profile.toJson)
  }

  test("statistics count each decoded token once and agree with the generations") {
    val input = prompts("in", Requests.documents(40): _*)
    val result = run(Requests(input, path("out")))
    val tokens = table(path("out"), "generations")
      .agg(sum(col("output_tokens") - 1)).collect().head.getLong(0)
    val layers = table(path("out"), "sparsity")
      .groupBy("layer").agg(sum("sequences"), sum("bytes_read"), sum("bytes_dense")).collect()
    assert(layers.length == 8)
    layers.foreach { row =>
      assert(row.getLong(1) == tokens)
      assert(row.getLong(2) > 0 && row.getLong(2) <= row.getLong(3))
    }
    assert(result.totals.bytesRead == layers.map(_.getLong(2)).sum)
    assert(result.totals.times.decodeTokens == tokens)
  }

  test("the model's own profiles call about as much of other texts as of their corpus") {
    val input = prompts("in", Requests.documents(40): _*)
    for (method <- Seq(Method.M_COUNTDOWN, Method.D_COUNTDOWN)) {
      val request = new SparsityRequest(method, null, null, null)
      val result = run(Requests(input, path(method.toString), request, batchSize = 4).withPartitions(1))
      assert(result.profile.method == method)
      val calibrated = result.profile.calibration.unionDensity()(2)
      val found = table(path(method.toString), "sparsity").filter(col("batch_size") === 4)
        .orderBy("layer").select("union_density").collect().map(_.getDouble(0))
      assert(found.length == 8)
      // these texts are short and alike, so a layer may be further off than all of them together
      def off(of: Seq[Double]) = of.map(math.abs).max
      val differences = found.zip(calibrated).map { case (density, expected) => density - expected }.toSeq
      assert(off(differences) < 0.3, s"$method ${found.toSeq} ${calibrated.toSeq}")
      assert(math.abs(differences.sum / 8) < 0.15, s"$method ${found.toSeq} ${calibrated.toSeq}")
    }
  }

  test("under shared, runs with a given crossover repeat each other, and its ends are dense and never dense") {
    val input = prompts("in", Requests.documents(60): _*)
    val shared = SparsityRequest.of(Method.M_COUNTDOWN, 0.7, new UnionStrategy.Shared())
    def ran(name: String, sparsity: SparsityRequest, crossover: Crossover) = {
      val result = run(Requests(input, path(name), sparsity).withCrossover(crossover))
      (outputs(path(name)), result.totals.layers.asScala.map(l => l.denseSteps.toDouble / l.steps).toSeq, result)
    }
    val (first, denseOfFirst, result) = ran("first", shared, Crossover.never())
    val (second, _, _) = ran("second", shared, Crossover.never())
    assert(first == second && denseOfFirst.forall(_ == 0))
    val (always, denseOfAlways, _) = ran("always", shared, Crossover.parse("0"))
    val (dense, _, _) = ran("dense", SparsityRequest.dense(), null)
    assert(always == dense && denseOfAlways.forall(_ == 1))
    assert(first != dense)
    val crossover = record(result).path("devices").path(0).path("crossover")
    assert(crossover.size == 1 && crossover.path(0).path(0).asDouble > 1)
    assert(record(result).path("configuration").path("crossover").path("density").size == 1)
  }

  test("a crossover is never or a density, and none for dense") {
    for (wrong <- Seq("", "often", "-0.1", "1.5", "NaN"))
      assert(intercept[UserException](Crossover.parse(wrong)).getMessage.contains(s"crossover '$wrong'"))
    assert(Crossover.parse("1").dense(0, 1) && !Crossover.parse("1").dense(3, 0.99))
    val request = Requests("in", "out", SparsityRequest.dense())
    assert(intercept[UsageException](request.withCrossover(Crossover.never())).getMessage.contains("--crossover"))
  }

  test("a method whose predictor is nowhere is refused") {
    val request = new SparsityRequest(Method.S_COUNTDOWN, null, null, null)
    val input = prompts("in", Requests.documents(4): _*)
    val message = refused(Requests(input, path("out"), request))
    assert(message.contains("--method s-countdown") && message.contains("train-predictor"))
  }

  test("densities and bytes of the tables are those of the recorded masks") {
    val documents = Requests.documents(30).sortBy(_._1)
    val input = prompts("in", documents: _*)
    val sparsity = SparsityRequest.of(Method.M_COUNTDOWN, 0.5, new UnionStrategy.Shared())
    val result = run(Requests(input, path("out"), sparsity, batchSize = 4).withPartitions(1))
    val lease =
      ModelRegistry.process().acquire(Requests.builtin, java.util.List.of[String](), new Configuration())
    val model = lease.model.asInstanceOf[CpuModel]
    val plan = new SparsityPlan(result.profile, lease.crossover(result.profile, 4, 1))
    val masks = new RecordedMasks(plan)
    val options = GenerationOptions.greedy(4, 8, model.config.context)
    val runner =
      new CpuModelRunner(model, plan, RunnerOptions.greedy(4, options.context, 1), null, masks)
    val generator = new Generator(
      model,
      model.template,
      options,
      documents.iterator.map { case (id, text) => new Prompt(id, text) }.asJava,
      runner)
    try generator.forEachRemaining(_ => ())
    finally {
      generator.close()
      lease.close()
    }

    val rows = table(path("out"), "sparsity").collect()
    assert(rows.map(row => (row.getAs[Int]("layer"), row.getAs[Int]("batch_size"))).toSet == masks.steps.keySet)
    for (row <- rows) {
      val (layer, batch) = (row.getAs[Int]("layer"), row.getAs[Int]("batch_size"))
      val steps = masks.steps((layer, batch))
      val neurons = model.config.intermediateSize.toDouble
      assert(row.getAs[Long]("steps") == steps.size)
      assert(row.getAs[Double]("own_density") == steps.map(_.called).sum / (neurons * batch * steps.size))
      assert(row.getAs[Double]("union_density") == steps.map(_.union).sum / (neurons * steps.size))
      val dense = steps.count(step => plan.crossover.dense(BatchBuckets.of(batch), step.union / neurons))
      assert(row.getAs[Long]("dense_steps") == dense)
      val sparse = steps.filterNot(step => plan.crossover.dense(BatchBuckets.of(batch), step.union / neurons))
      val perRow = 2L * model.config.hiddenSize
      val read = dense * 3 * 1536 * perRow + sparse.map(step => (1536 + 2 * step.union) * perRow).sum
      assert(row.getAs[Long]("bytes_read") == read)
      assert(row.getAs[Long]("bytes_dense") == steps.size * 3 * 1536 * perRow)
    }
  }

  test("bad prompts become error rows and the rest goes on") {
    val input = prompts(
      "in",
      Requests.documents(5) ++ Seq[(String, String)](
        "null prompt" -> null,
        "blank" -> "  ",
        "long" -> "word " * 3000,
        "twice" -> "one",
        "twice" -> "two",
        (null, "no id")): _*)
    val result = run(Requests(input, path("out")))
    assert(outputs(path("out")).size == 10)
    val found = errors(path("out"))
    assert(found.keySet.count(_.startsWith("null#")) == 1)
    assert(found.keySet.filterNot(_.startsWith("null#")) ==
      Set("null prompt", "blank", "long", "twice"))
    assert(found("twice") == "2 rows of the input have this id")
    found.values.foreach(error => assert(error.linesIterator.size == 1))
    assert(result.totals.errorRows == 5)
    // the long prompt was encoded, but never computed
    assert(table(path("out"), "generations").filter(col("id") === "long")
      .select("prompt_tokens").collect().head.getInt(0) > 3000)
    assert(result.totals.promptTokens == result.totals.times.prefillTokens)
    assert(record(result).path("prompt_tokens").asLong == result.totals.promptTokens)
    assert(result.totals.rows == 10)
  }

  test("kept columns follow, null for repeated ids") {
    write(
      "in.jsonl",
      """{"id": "a", "prompt": "A text editor.", "n": 1, "tags": ["x", "y"]}
        |{"id": "b", "prompt": "", "n": 2, "tags": []}
        |{"id": "c", "prompt": "A game.", "n": 3}
        |{"id": "c", "prompt": "A game.", "n": 4}
        |""".stripMargin)
    val base = Requests(path("in.jsonl"), path("out"))
    val source =
      new PromptSource(path("in.jsonl"), "id", "prompt", java.util.List.of("n", "tags"), 0)
    run(new GenerateRequest(
      source, base.output, base.mode, base.model, base.sparsity, base.decoding, 1))
    val rows = table(path("out"), "generations").orderBy("id").select("id", "n", "tags").collect()
    assert(rows.toSeq == Seq(Row("a", 1L, Seq("x", "y")), Row("b", 2L, Seq()), Row("c", null, null)))
  }

  test("resume generates only the ids that the output lacks") {
    val documents = Requests.documents(12)
    val first = prompts("first", documents.take(5): _*)
    val all = prompts("all", documents: _*)
    val request = Requests(first, path("out"), Requests.own(0.5))
    run(request)
    val before = outputs(path("out"))
    val resumed = run(Requests(all, path("out"), Requests.own(0.5)).withMode(WriteMode.RESUME))
    assert(resumed.skipped == 5)
    assert(resumed.totals.rows == 7)
    assert(resumed.warning == null)
    val after = outputs(path("out"))
    assert(after.size == 12)
    assert(before.forall { case (id, text) => after(id) == text })
    val files = tableFiles(path("out"))
    val idle = run(Requests(all, path("out"), SparsityRequest.dense()).withMode(WriteMode.RESUME))
    assert(idle.totals.rows == 0)
    assert(record(idle).path("status").asText == "succeeded")
    assert(tableFiles(path("out")) == files, "a run with nothing to do adds no file")
    assert(idle.warning.contains("another method"))
    assert(outputs(path("out")) == after)
  }

  test("a limit that grows adds prompts and changes none, repeated ids included") {
    val repeated = Requests.documents(30).flatMap(Seq.fill(3)(_))
    val input = prompts("in", repeated: _*)
    def limited(limit: Int) = Requests(input, path("out"), SparsityRequest.dense())
      .copyWith(input = new PromptSource(input, "id", "prompt", java.util.List.of(), limit))
    val first = run(limited(10))
    assert(record(first).path("prompts").asInt == 10)
    assert(first.totals.rows == 10)
    val second = run(limited(20).withMode(WriteMode.RESUME))
    assert(record(second).path("prompts").asInt == 10)
    assert(second.totals.rows == 10 && second.skipped == 10)
    val found = errors(path("out"))
    assert(found.size == 20)
    assert(found.values.toSet == Set("3 rows of the input have this id"))
  }

  test("append adds, overwrite replaces, error refuses") {
    val input = prompts("in", Requests.documents(3): _*)
    val request = Requests(input, path("out"), SparsityRequest.dense())
    run(request)
    assert(refused(request).contains("overwrite, append or resume"))
    run(request.withMode(WriteMode.APPEND))
    assert(table(path("out"), "generations").count() == 6)
    val result = run(request.withMode(WriteMode.OVERWRITE))
    assert(table(path("out"), "generations").select("run_id").distinct().collect().toSeq ==
      Seq(Row(result.runId)))
    assert(new java.io.File(path("out"), "runs").list().count(_.endsWith(".json")) == 2 - 1)
  }

  test("what a killed driver or a run beside this one has written is not taken, and stays") {
    val input = prompts("in", Requests.documents(3): _*)
    val request = Requests(input, path("out"), SparsityRequest.dense())
    run(request)
    val task = Path.of(path("out"), ".staging", "other", "_temporary", "0", "task_1", "generations")
    Files.createDirectories(task)
    val part = Files.list(Path.of(path("out"), "generations")).filter(_.toString.endsWith(".parquet")).findFirst().get
    Files.copy(part, task.resolve("part-1.parquet"))
    for (mode <- Seq(WriteMode.RESUME, WriteMode.APPEND)) run(request.withMode(mode))
    assert(table(path("out"), "generations").count() == 6)
    assert(Files.exists(task.resolve("part-1.parquet")))
    run(request.withMode(WriteMode.OVERWRITE))
    assert(table(path("out"), "generations").count() == 3)
    assert(Files.exists(task.resolve("part-1.parquet")))
  }

  test("a run that a driver's end left half in the tables is finished by the next, and none of its ids is answered again") {
    val input = prompts("in", Requests.documents(3): _*)
    val request = Requests(input, path("out"), SparsityRequest.dense())
    val first = run(request)
    // as it stood before its generations were moved
    val staged = Path.of(path("out"), ".staging", first.runId)
    Files.createDirectories(staged)
    Files.createFile(staged.resolve("_ADDS"))
    Files.move(Path.of(path("out"), "generations"), staged.resolve("generations"))
    val record = Path.of(path("out"), "runs", first.runId + ".json")
    Files.writeString(record, Files.readString(record).replace("\"succeeded\"", "\"publishing\""))
    Files.delete(Path.of(path("out"), "runs", "." + first.runId + ".json.crc"))
    val second = run(request.withMode(WriteMode.RESUME))
    assert(second.totals.rows == 0 && !Files.exists(staged))
    assert(table(path("out"), "generations").select("run_id").distinct().collect().toSeq == Seq(Row(first.runId)))
    assert(table(path("out"), "generations").count() == 3)
    assert(Files.readString(record).contains("\"succeeded\""))
  }

  test("an input without a prompt that can be answered becomes error rows, with nothing to calibrate on") {
    write("in.jsonl", """{"id": "a", "prompt": ""}""" + "\n" + """{"id": "b"}""")
    val result = run(Requests(path("in.jsonl"), path("out"), SparsityRequest.of(Method.M_COUNTDOWN, 0.5, new UnionStrategy.Shared())))
    assert(result.totals.errorRows == 2 && table(path("out"), "generations").count() == 2)
  }

  test("an output may be replaced by what is made of its own rows") {
    val request = Requests(prompts("in", Requests.documents(3): _*), path("out"), SparsityRequest.dense())
    run(request)
    val own = new PromptSource(path("out") + "/generation*", "id", "output", java.util.List.of(), 0)
    run(request.copyWith(input = own).withMode(WriteMode.OVERWRITE))
    assert(table(path("out"), "generations").count() == 3)
  }

  test("rows that could not stand beside an earlier run's are refused") {
    write("numbers.jsonl", """{"id": "a", "prompt": "A.", "n": 1}""")
    write("words.jsonl", """{"id": "b", "prompt": "B.", "n": "1"}""")
    def keeping(input: String, columns: String*) =
      Requests(input, path("out"), SparsityRequest.dense())
        .copyWith(input = new PromptSource(path(input), "id", "prompt", columns.asJava, 0))
    run(keeping("numbers.jsonl", "n"))
    for (mode <- Seq(WriteMode.APPEND, WriteMode.RESUME); columns <- Seq(Seq("n"), Seq())) {
      val message = refused(keeping("words.jsonl", columns: _*).withMode(mode))
      assert(message.contains("n bigint") && message.contains("--keep-columns"), message)
    }
    run(keeping("numbers.jsonl", "n").withMode(WriteMode.APPEND))
    assert(table(path("out"), "generations").count() == 2)
  }

  test("what is wrong is found before an earlier run is deleted") {
    val input = prompts("in", Requests.documents(3): _*)
    val request = Requests(input, path("out"), SparsityRequest.dense())
    run(request)
    val overwrite = request.withMode(WriteMode.OVERWRITE)
    val empty = prompts("empty")
    Files.createDirectory(Path.of(path("model")))
    val other = run(Requests(input, path("other"))).profile
    val foreign = other.toJson.replace(other.modelDigest, "0" * 64)
    val profile = write("foreign.json", foreign)
    val bad = Seq(
      overwrite.copyWith(input = PromptSource.of(path("none"))) -> "does not exist",
      overwrite.copyWith(input = PromptSource.of(empty)) -> "has no rows",
      overwrite.copyWith(model = new ModelSource(path("model"), WeightType.BF16, BackendChoice.CPU)) -> "config.json",
      overwrite.copyWith(model = new ModelSource("builtin:other", WeightType.BF16, BackendChoice.CPU)) ->
        "builtin:summarizer-20m",
      overwrite.copyWith(sparsity = new SparsityRequest(null, null, profile, null)) -> "model",
      overwrite.copyWith(sparsity = new SparsityRequest(null, null, path("none.json"), null)) ->
        "does not exist")
    bad.foreach { case (request, words) => assert(refused(request).contains(words)) }
    assert(outputs(path("out")).size == 3)
  }

  test("an input or output that cannot be used leaves nothing behind") {
    val input = prompts("in", Requests.documents(3): _*)
    write("file", "")
    assert(refused(Requests(path("none"), path("out"))).contains("does not exist"))
    assert(!Files.exists(Path.of(path("out"))))
    assert(refused(Requests(input, path("file/out"))).contains("cannot write output"))
  }

  test("a batch whose cache the heap cannot hold is refused before anything is measured with it") {
    val input = prompts("in", Requests.documents(3): _*)
    val message = refused(Requests(input, path("out"), batchSize = 2000000000))
    assert(message.startsWith("the key/value cache of 2000000000 sequences x 1024 positions"))
    assert(message.contains("lower --batch-size or --context"))
  }

  test("the record says what was asked for and what became of it") {
    val input = prompts("in", Requests.documents(6) :+ ("blank" -> ""): _*)
    val result = run(Requests(input, path("out"), Requests.own(0.6)))
    val json = record(result)
    assert(json.path("status").asText == "succeeded")
    assert(json.path("configuration").path("decoding").path("batch_size").asInt == 8)
    assert(json.path("method").asText == "m-countdown")
    assert(json.path("union").asText == "own")
    assert(json.path("profile").path("thresholds").size > 0)
    assert(json.path("profile").path("calibration").path("corpus").asText == input)
    assert(json.path("counts").path("rows").asInt == 7)
    assert(json.path("counts").path("finish_reasons").path("error").asInt == 1)
    assert(json.path("decode").path("tokens").asLong > 0)
    assert(json.path("versions").path("spark").asText == spark.version)
    assert(json.path("versions").path("rollcall").asText.matches("[0-9].*"))
    assert(json.path("configuration").path("model").path("backend").asText == "cpu")
    assert(json.path("devices").size == 1)
    val device = json.path("devices").path(0)
    assert(device.path("name").asText.startsWith("cpu: "))
    assert(device.path("backend").asText == "cpu" && device.path("driver").isNull)
    assert(device.path("weights").asText == "bf16" && device.path("tasks").asInt == 2)
    val crossover = device.path("crossover").elements.asScala.toSeq
    assert(crossover.size == 4)
    // one process measures once
    crossover.foreach(range => assert(range.path(0).asDouble == range.path(1).asDouble))
    assert(json.path("partitions").asInt == 2)
    val tasks = json.path("slowest_partitions").elements.asScala.toSeq
    assert(tasks.map(_.path("partition").asInt).toSet == Set(0, 1))
    assert(tasks.map(_.path("rows").asInt).sum == 7)
    assert(
      tasks.map(_.path("output_tokens").asLong).sum == json.path("output_tokens").asLong)
    val seconds =
      tasks.map(task => task.path("prefill_seconds").asDouble + task.path("decode_seconds").asDouble)
    assert(seconds.forall(_ > 0) && seconds == seconds.sorted.reverse)
    assert(tasks.forall(_.path("host").asText.nonEmpty))
    assert(!json.toString.contains("NaN"))
    assert(table(path("out"), "generations").select("run_id").distinct().collect().toSeq ==
      Seq(Row(result.runId)))
  }

  private implicit class Variations(request: GenerateRequest) {
    def copyWith(
        input: PromptSource = request.input,
        model: ModelSource = request.model,
        sparsity: SparsityRequest = request.sparsity): GenerateRequest =
      new GenerateRequest(
        input, request.output, request.mode, model, sparsity, request.decoding, request.partitions)
  }
}
