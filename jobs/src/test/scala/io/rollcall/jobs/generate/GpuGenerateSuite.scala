package io.rollcall.jobs.generate

import scala.jdk.CollectionConverters._

import io.rollcall.engine.UserException
import io.rollcall.engine.sparsity.{Method, UnionStrategy}
import io.rollcall.jobs.SparkSuite
import io.rollcall.jobs.runtime.{BackendChoice, ModelRegistry, ModelSource}
import io.rollcall.kernels.WeightType
import io.rollcall.kernels.cuda.{CudaContext, CudaDevice}
import org.apache.spark.sql.functions.{col, sum}

/** The Spark job on a device, with the built-in model. Cancels where there is no device. */
class GpuGenerateSuite extends SparkSuite {
  import GpuGenerateSuite._

  private def onDevice(name: String)(body: => Any): Unit = test(name) {
    assume(!CudaDevice.all().isEmpty, CudaDevice.whyNone().orElse(""))
    body
  }

  private def run(request: GenerateRequest, model: ModelSource = cuda()): GenerateResult =
    new GenerateAction(spark, Requests.of(request, model)).execute()

  private def outputs(output: String): Map[String, String] = {
    val rows = table(output, "generations").select("id", "output").collect()
    assert(rows.map(_.getString(0)).distinct.length == rows.length)
    rows.map(row => row.getString(0) -> row.getString(1)).toMap
  }

  onDevice("a thousand prompts: every id once, every decoded token counted once in every layer") {
    val documents = Requests.documents(1000) ++ Seq[(String, String)](
      "null prompt" -> null, "blank" -> " ", "long" -> "word " * 3000)
    val input = prompts("in", documents: _*)
    val result = run(
      Requests(input, path("out"), batchSize = 64, maxNewTokens = 24, partitions = 3))
    assert(outputs(path("out")).keySet == documents.map(_._1).toSet)
    assert(result.totals.errorRows == 3)
    val decoded = table(path("out"), "generations").filter("finish_reason <> 'error'")
      .agg(sum(col("output_tokens") - 1)).collect().head.getLong(0)
    val layers = table(path("out"), "sparsity")
      .groupBy("layer").agg(sum("sequences"), sum("bytes_read"), sum("bytes_dense")).collect()
    assert(layers.length == 8)
    layers.foreach { row =>
      assert(row.getLong(1) == decoded)
      assert(row.getLong(2) > 0 && row.getLong(2) <= row.getLong(3))
    }
    assert(result.totals.times.decodeTokens == decoded)
    val used = result.totals.devices.asScala
    assert(used.map(_.backend).toSet == Set("cuda") && used.map(_.tasks).sum == 3)
    assert(used.head.name.contains(CudaDevice.all().get(0).name))
    assert(used.head.driver.matches("[0-9]+\\.[0-9]+") && !used.head.crossover.isEmpty)
  }

  onDevice("dense greedy answers on 200 documents are the CPU's in at least 97 %") {
    val input = prompts("in", Requests.documents(200): _*)
    def answers(model: ModelSource): Map[String, String] = {
      val output = path(s"out-${model.backend}")
      run(Requests(input, output, SparsityRequest.dense(), 32, 40), model)
      outputs(output)
    }
    val (device, cpu) = (answers(cuda()), answers(Requests.builtin))
    val same = cpu.count { case (id, text) => device(id) == text }
    info(s"$same of 200 answers are the CPU's")
    assert(same >= 194)
  }

  onDevice("thresholds are calibrated on the device, for every union") {
    val input = prompts("in", Requests.documents(64): _*)
    for (union <- Seq("own", "shared")) {
      val sparsity = SparsityRequest.of(Method.M_COUNTDOWN, 0.6, UnionStrategy.parse(union))
      val result = run(Requests(input, path(s"out-$union"), sparsity, batchSize = 8, maxNewTokens = 16))
      assert(result.profile.calibration.positions > 100)
      val density =
        if (union == "own")
          table(path("out-own"), "sparsity").selectExpr("sum(own_density * sequences) / sum(sequences)")
            .collect().head.getDouble(0)
        else result.totals.unionDensity
      assert(math.abs(density - 0.4) < 0.1, union)
    }
  }

  for (weights <- Seq(WeightType.INT8, WeightType.INT4))
    onDevice(s"$weights weights answer") {
      val input = prompts("in", Requests.documents(50): _*)
      val result = run(
        Requests(input, path("out"), SparsityRequest.dense(), 16, 16), cuda(weights))
      assert(result.totals.devices.get(0).weights == weights.toString.toLowerCase)
      assert(outputs(path("out")).values.count(_.nonEmpty) > 40)
    }

  /** Runs with all devices filled but for so many bytes each. */
  private def crowded[A](left: Long)(body: => A): A = {
    val contexts = CudaDevice.all().asScala.map(CudaContext.open)
    try {
      contexts.foreach(c => c.allocate("a test's ballast", c.freeBytes - left))
      body
    } finally contexts.foreach(_.close())
  }

  /** Memory that a context and the compiled kernels take of a device. */
  private def contextBytes: Long = {
    val device = CudaDevice.all().get(0)
    val first = CudaContext.open(device)
    try {
      val before = first.freeBytes
      val second = CudaContext.open(device)
      try before - first.freeBytes finally second.close()
    } finally first.close()
  }

  onDevice("memory that is too small for context, model or cache is one line that says what to do") {
    val input = prompts("in", Requests.documents(5): _*)
    def refused(output: String): String = {
      val request = Requests(input, path(output), SparsityRequest.dense(), 64, 8, 1)
      val message = intercept[UserException](run(request)).getMessage
      info(message)
      assert(message.contains("--") && message.linesIterator.size == 1, message)
      message
    }
    ModelRegistry.process().close()
    assert(crowded(24L << 20)(refused("context")).contains("out of memory"))
    ModelRegistry.process().close()
    val weights = crowded(contextBytes + (16L << 20))(refused("load"))
    assert(weights.contains("does not fit on") && weights.split("MiB").length > 3, weights)
    // loaded while there was room
    run(Requests(input, path("out"), SparsityRequest.dense(), 8, 8, 1))
    val cache = crowded(300L << 20)(refused("cache"))
    assert(cache.startsWith("the key/value pool of one sequence of") || cache.contains(": the key/value pool of"), cache)
    run(Requests(input, path("again"), SparsityRequest.dense(), 8, 8, 1))
  }
}

object GpuGenerateSuite {
  def cuda(weights: WeightType = WeightType.BF16): ModelSource =
    new ModelSource(Requests.builtin.name, weights, BackendChoice.CUDA)
}
