package io.rollcall.engine.runner

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.{RandomModels, UserException}
import io.rollcall.engine.sampling.RandomStream
import io.rollcall.engine.sparsity._
import io.rollcall.engine.statistics.SparsityCounters
import io.rollcall.kernels.{Activation, WeightType}

class CpuModelRunnerSuite extends AnyFunSuite {
  private val prompts = Seq(Seq(3, 7, 11, 2), Seq(5), Seq(9, 1, 33, 8, 20, 41, 6), Seq(12, 13))
  private val decodeSteps = 4
  private val stream = new RandomStream(1, "a")

  private def largest(logits: Array[Float], rows: Int, vocabulary: Int): Seq[Int] =
    logits.toSeq.grouped(vocabulary).take(rows).map(row => row.indexOf(row.max)).toSeq

  /** Thresholds that keep about a quarter to a half, rising with the bucket. */
  private def plan(
      model: CpuModel,
      method: Method,
      union: UnionStrategy,
      crossover: Crossover = Crossover.never()): SparsityPlan = {
    val base = if (method.needsPredictor) -0.3f else if (method == Method.M_COUNTDOWN) 0.7f else if (method == Method.CATS) 0.5f else 0.6f
    val thresholds = Array.tabulate(3, model.config.layers)((k, l) => base * (1 + 0.2f * k + 0.1f * l))
    val predictors = if (method.needsPredictor) RandomModels.predictors(model.config, model.digest, rank = 6) else null
    val profile =
      new SparsityProfile(model.digest, method, union, Array(0.5), thresholds, null, predictors)
    new SparsityPlan(profile, crossover)
  }

  private def compare(model: CpuModel, plan: SparsityPlan, workers: Int): Unit = {
    val config = model.config
    val reference = new ReferenceTransformer(model, plan)
    val counters =
      new SparsityCounters(config.layers, prompts.size, model.cost)
    val runner =
      model.runner(plan, RunnerOptions.greedy(prompts.size, config.context, workers))
    try {
      val batch = new TokenBatch(runner.tokenCapacity)
      for ((prompt, slot) <- prompts.zipWithIndex; (token, position) <- prompt.zipWithIndex)
        if (position == prompt.size - 1) batch.addLast(token, position, slot, stream)
        else batch.add(token, position, slot)
      val sampled = runner.prefill(batch)
      assert(sampled.toSeq === largest(runner.logits, prompts.size, config.vocabulary))
      val states = prompts.map(_ => new reference.State)
      val prefilled = prompts.indices.map { b =>
        prompts(b).map(t => reference.step(Seq(states(b)), Seq(t), decode = false)._1.head).last
      }
      assertClose(runner.logits, prefilled, config.vocabulary, "prefill")

      val random = new Random(5)
      var expected = Vector.empty[reference.Calls]
      for (step <- 0 until decodeSteps) {
        val tokens = prompts.map(_ => random.nextInt(config.vocabulary))
        val sequences = prompts.indices.map(b =>
          new DecodeSequence(b, tokens(b), prompts(b).size + step, stream, step + 1, 9))
        val steps = runner.decode(sequences.asJava, counters)
        assert(steps.size === 1)
        assert(steps.get(0).tokens.toSeq === largest(runner.logits, prompts.size, config.vocabulary))
        val (logits, calls) = reference.step(states, tokens, decode = true)
        assertClose(runner.logits, logits, config.vocabulary, s"decode step $step")
        for (b <- prompts.indices)
          assert(steps.get(0).called()(b) === calls.map(_.called(b).size).sum)
        assert(steps.get(0).loaded === calls.map(_.loaded.size).sum)
        expected ++= calls
      }
      assertCounts(model, plan, counters, expected)
    } finally runner.close()
  }

  /** The counters are the recorded masks' counts, and bytes follow the formulas. */
  private def assertCounts(
      model: CpuModel,
      plan: SparsityPlan,
      counters: SparsityCounters,
      calls: Seq[ReferenceTransformer#Calls]): Unit = {
    val (d, f) = (model.config.hiddenSize.toLong, model.config.intermediateSize.toLong)
    val rows = counters.statistics.asScala
    assert(rows.map(_.layer) === (0 until model.config.layers))
    for (row <- rows) {
      val mine = calls.filter(_.layer == row.layer)
      assert(row.batchSize === prompts.size)
      assert(row.steps === decodeSteps)
      assert(row.sequences === decodeSteps * prompts.size)
      assert(row.ownDensity === mine.flatMap(_.called).map(_.size).sum.toDouble / (row.sequences * f))
      assert(row.unionDensity === mine.map(_.loaded.size).sum.toDouble / (row.steps * f))
      assert(row.denseSteps === mine.count(_.dense))
      assert(row.unionHistogram.sum === row.steps)
      for (call <- mine) {
        val bin = math.min(19, call.loaded.size * 20 / f.toInt)
        assert(row.unionHistogram()(bin) > 0)
      }
      val read = mine.map { call =>
        val loaded = call.loaded.size.toLong
        plan.method match {
          case Method.D_COUNTDOWN | Method.S_COUNTDOWN =>
            (if (call.dense) 3 * d * f else 3 * d * loaded) + plan.profile.predictorBytes / 4
          case _ if call.dense => 3 * d * f
          case Method.CATS | Method.M_COUNTDOWN => d * f + 2 * d * loaded
          case _ => 2 * d * f + d * loaded
        }
      }.sum
      val correction = plan.profile.correction(row.layer)
      val dropping = mine.count(!_.dense || plan.union.isInstanceOf[UnionStrategy.Own])
      val corrected = if (correction == null) 0 else dropping * (1 + 2 * correction.rank) * d
      val scaled = if (plan.profile.neuronScales == null) 0 else decodeSteps * f
      assert(row.bytesRead === 4 * read + 2 * (corrected + scaled), "f32 weights, bf16 for the rest")
      assert(row.bytesDense === 4 * 3 * d * f * row.steps)
    }
  }

  private def assertClose(
      actual: Array[Float],
      expected: Seq[Array[Double]],
      vocabulary: Int,
      clue: String): Unit =
    for (b <- expected.indices; t <- 0 until vocabulary) {
      val (a, e) = (actual(b * vocabulary + t).toDouble, expected(b)(t))
      assert(math.abs(a - e) <= 1e-3 * (1 + math.abs(e)), s"$clue, sequence $b, token $t: $a, $e")
    }

  for (activation <- Activation.values)
    test(s"dense prefill and decode agree with the reference under $activation") {
      val model = RandomModels.model(seed = 1, activation = activation)
      val runner = SparsityPlan.dense(model.digest)
      compareDense(model, runner)
    }

  private def compareDense(model: CpuModel, plan: SparsityPlan): Unit = {
    val reference = new ReferenceTransformer(model, plan)
    val runner = model.runner(plan, RunnerOptions.greedy(2, model.config.context, 2))
    try {
      val counters = new SparsityCounters(model.config.layers, 2, model.cost)
      val batch = new TokenBatch(4)
      batch.addLast(4, 0, 1, stream)
      runner.prefill(batch)
      val state = new reference.State
      val first = reference.step(Seq(state), Seq(4), decode = false)._1
      assertClose(runner.logits, first, model.config.vocabulary, "prefill")
      runner.decode(java.util.List.of(new DecodeSequence(1, 9, 1, stream, 1, 9)), counters)
      val second = reference.step(Seq(state), Seq(9), decode = true)._1
      assertClose(runner.logits, second, model.config.vocabulary, "decode")
      val row = counters.statistics.get(0)
      assert(row.ownDensity === 1.0 && row.unionDensity === 1.0)
      assert(row.denseSteps === 0 && row.bytesRead === row.bytesDense)
    } finally runner.close()
  }

  private val sparse =
    Seq(Method.CATS, Method.M_COUNTDOWN, Method.D_COUNTDOWN_ORACLE,
      Method.S_COUNTDOWN_ORACLE, Method.D_COUNTDOWN, Method.S_COUNTDOWN)

  for (method <- sparse; union <- Seq("own", "shared", "budget:0.3"))
    test(s"$method with union $union calls, loads and computes what the reference does") {
      for (seed <- 1 to 3) {
        val model = RandomModels.model(seed)
        compare(model, plan(model, method, UnionStrategy.parse(union)), workers = 1 + seed % 2)
      }
    }

  for (precision <- Seq(WeightType.BF16, WeightType.INT8, WeightType.INT4); union <- Seq("own", "shared", "budget:0.3"))
    test(s"folded predictors in $precision call with union $union what the reference calls") {
      val model = RandomModels.model(seed = 5)
      val linear = plan(model, Method.D_COUNTDOWN, UnionStrategy.parse(union)).profile
      val folded = RandomModels.predictors(model.config, "folded", rank = 32, folded = true, precision)
      assert(folded.bytes ===
        32 * precision.bytes(model.config.hiddenSize) + 2 * model.config.intermediateSize * precision.bytes(32))
      compare(model, new SparsityPlan(linear.`with`(folded), Crossover.never()), workers = 2)
    }

  for (method <- sparse; union <- Seq("own", "shared"))
    test(s"$method with union $union runs dense past the crossover and says so") {
      val model = RandomModels.model(seed = 4)
      val crossover = new Crossover(Array(0.6))
      compare(model, plan(model, method, UnionStrategy.parse(union), crossover), workers = 2)
    }

  for (method <- Seq(Method.CATS, Method.D_COUNTDOWN); union <- Seq("own", "shared", "budget:0.3"))
    test(s"corrections add to the sparse outputs of $method with union $union and to the bytes read") {
      for (crossover <- Seq(Crossover.never(), new Crossover(Array(0.6)))) {
        val model = RandomModels.model(seed = 8)
        val plain = plan(model, method, UnionStrategy.parse(union), crossover)
        val corrections = RandomModels.corrections(model.config, seed = 9, rank = 5, buckets = 2)
        compare(model, new SparsityPlan(plain.profile.`with`(corrections), crossover), workers = 2)
      }
    }

  for (method <- Seq(Method.CATS, Method.M_COUNTDOWN); union <- Seq("own", "shared", "budget:0.3"))
    test(s"neuron scales decide what $method with union $union calls, and cost their bytes") {
      for (crossover <- Seq(Crossover.never(), new Crossover(Array(0.6))); seed <- 1 to 2) {
        val model = RandomModels.model(seed)
        val plain = plan(model, method, UnionStrategy.parse(union), crossover).profile
        val scaled = plain.`with`(RandomModels.neuronScales(model.config, seed))
        compare(model, new SparsityPlan(scaled, crossover), workers = 2)
        val corrected = scaled.`with`(RandomModels.corrections(model.config, seed, rank = 5, buckets = 2))
        compare(model, new SparsityPlan(corrected, crossover), workers = 1)
      }
    }

  test("a batch that calls nothing loads nothing and still decodes") {
    val model = RandomModels.model(seed = 6)
    val thresholds = Array(Array.fill(model.config.layers)(1e9f))
    val profile = new SparsityProfile(
      model.digest, Method.M_COUNTDOWN, new UnionStrategy.Shared, Array(0.9), thresholds, null)
    compare(model, new SparsityPlan(profile, Crossover.never()), workers = 1)
  }

  test("caches that the heap cannot hold together are refused, and room is given back") {
    val model = RandomModels.model(seed = 7)
    val perSlot = 2L * model.config.layers * model.config.attention(40).slotFloats * 4
    val most = (0.75 * Runtime.getRuntime.maxMemory).toLong
    def cache(slots: Long) = new KeyValueCache(model.config, slots.toInt, 40)
    val message = intercept[UserException](cache(most / perSlot + 1)).getMessage
    assert(message.contains("x 40 positions") && message.contains("--batch-size"))
    val third = most / perSlot / 3
    val first = cache(third)
    assert(intercept[UserException](cache(third * 5 / 2)).getMessage.contains("other tasks"))
    first.close()
    first.close()
    cache(third).close()
  }

  test("a cache's room can be held before the cache, and no batch size is too large to be refused") {
    val model = RandomModels.model(seed = 7)
    def room(slots: Long) = model.cacheRoom(slots.toInt, 40)
    val perSlot = 2L * model.config.layers * model.config.attention(40).slotFloats * 4
    val most = (0.75 * Runtime.getRuntime.maxMemory).toLong / perSlot
    val held = room(most / 2)
    for (slots <- Seq(most - most / 2 + 1, Int.MaxValue.toLong)) {
      val message = intercept[UserException](room(slots)).getMessage
      assert(message.startsWith(s"the key/value cache of $slots sequences") && message.contains("--batch-size"))
    }
    assertThrows[UserException](model.cacheRoom(Int.MaxValue, Int.MaxValue))
    held.close()
    room(most).close()
  }
}
