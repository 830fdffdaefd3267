package io.rollcall.engine.runner.cuda

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.{Backends, Documents, RandomModels, SharedDocuments, UserException}
import io.rollcall.engine.checkpoint.{ModelFiles, RandomCheckpoint, StoredTensor}
import io.rollcall.engine.generation.{GenerationOptions, Generator, Prompt}
import io.rollcall.engine.runner._
import io.rollcall.engine.sampling.{RandomStream, Sampler, Sampling}
import io.rollcall.engine.sparsity._
import io.rollcall.engine.statistics.SparsityCounters
import io.rollcall.kernels.WeightType
import io.rollcall.kernels.cuda.CudaDevice

/**
 * The model on a device beside the CPU engine's, on the same checkpoint. Activations are f16 there and
 * f32 here: single numbers differ in the fourth digit, and a neuron whose score lies that near to the
 * threshold may be called on one side alone. Cancels where there is no device.
 */
class CudaModelRunnerSuite extends AnyFunSuite {
  private val shape = RandomCheckpoint.Shape()
  private val prompts: Seq[Seq[Int]] = {
    val random = new Random(2)
    Seq(5, 1, 70, 130, 17).map(n => Seq.fill(n)(random.nextInt(shape.vocabulary)))
  }
  private val stream = new RandomStream(3, "test")

  private def onDevice(test: => Any): Any = {
    assume(!CudaDevice.all.isEmpty, CudaDevice.whyNone.orElse(""))
    test
  }

  private def pair[A](path: Path, weights: WeightType = WeightType.BF16)(use: (CpuModel, LoadedModel) => A): A = {
    val files = ModelFiles.directory(path)
    val cpu = CpuModel.load(files, weights)
    try {
      val cuda = Backends.load(files, weights, Backend.CUDA, CudaDevice.all.get(0).ordinal)
      try use(cpu, cuda) finally cuda.close()
    } finally cpu.close()
  }

  private def using[A](runner: ModelRunner)(use: ModelRunner => A): A =
    try use(runner) finally runner.close()

  private def prefill(runner: ModelRunner): Seq[Int] = {
    val batch = new TokenBatch(runner.tokenCapacity)
    for ((prompt, slot) <- prompts.zipWithIndex) {
      assert(runner.reserve(slot, prompt.size + 40))
      for ((token, position) <- prompt.zipWithIndex)
        if (position == prompt.size - 1) batch.addLast(token, position, slot, stream)
        else batch.add(token, position, slot)
    }
    runner.prefill(batch).toSeq
  }

  private def inputs(tokens: Seq[Int], step: Int, remaining: Int) =
    tokens.zipWithIndex.map { case (token, b) =>
      new DecodeSequence(b, token, prompts(b).size + step, stream, step + 1, remaining)
    }.asJava

  private def rms(values: Iterable[Double]): Double = math.sqrt(values.map(v => v * v).sum / values.size)

  private def error(actual: Array[Float], expected: Array[Float], from: Int, n: Int): Double = {
    val wanted = expected.slice(from, from + n).map(_.toDouble)
    rms(actual.slice(from, from + n).zip(wanted).map { case (a, e) => a - e }) / rms(wanted)
  }

  /** Rounding can flip a call close to its threshold, which in so small a model changes a row of logits
    * a good deal; it flips few of them.
    */
  private def assertNear(errors: Seq[Double], tolerance: Double): Unit = {
    val sorted = errors.sorted
    assert(sorted(sorted.size * 2 / 3) < tolerance, s"of $sorted")
    assert(sorted.last < math.max(0.8, tolerance), s"of $sorted")
  }

  /** Prefill and some steps of the same tokens on both; logits within the tolerance, counts too. */
  private def compare(cpu: CpuModel, cuda: LoadedModel, plan: SparsityPlan, tolerance: Double): Unit = {
    val n = prompts.size
    val vocabulary = cpu.config.vocabulary
    val options = RunnerOptions.greedy(n, 256, 2)
    using(cpu.runner(plan, options)) { expected =>
      using(cuda.runner(plan, options)) { actual =>
        prefill(expected)
        prefill(actual)
        assert(error(actual.logits, expected.logits, 0, n * vocabulary) < tolerance, "prefill")
        val errors = Seq.newBuilder[Double]
        val random = new Random(7)
        val counters = Seq(cpu, cuda).map(m => new SparsityCounters(shape.layers, n, m.cost))
        for (step <- 0 until 4) {
          val tokens = prompts.map(_ => random.nextInt(vocabulary))
          val wanted = expected.decode(inputs(tokens, step, 1), counters(0)).get(0)
          val found = actual.decode(inputs(tokens, step, 1), counters(1))
          assert(found.size === 1)
          for (b <- 0 until n) errors += error(actual.logits, expected.logits, b * vocabulary, vocabulary)
          val neurons = shape.layers * shape.inner
          for (b <- 0 until n) assert(math.abs(found.get(0).called()(b) - wanted.called()(b)) <= 0.03 * neurons)
          assert(math.abs(found.get(0).loaded - wanted.loaded) <= 0.03 * neurons)
        }
        assertNear(errors.result(), tolerance)
        for ((a, e) <- counters(1).statistics.asScala.zip(counters(0).statistics.asScala)) {
          assert((a.layer, a.batchSize, a.steps, a.sequences) === ((e.layer, e.batchSize, e.steps, e.sequences)))
          assert(math.abs(a.bytesRead.toDouble / a.bytesDense - e.bytesRead.toDouble / e.bytesDense) <= 0.05)
        }
      }
    }
  }

  private def plan(model: LoadedModel, method: Method, union: String, crossover: Crossover = Crossover.never()): SparsityPlan = {
    val base = if (method.needsPredictor) 0.3f else if (method == Method.M_COUNTDOWN) 1f else 0.8f
    val thresholds = Array.tabulate(4, shape.layers)((k, l) => base * (1 + 0.2f * k))
    val predictors = if (method.needsPredictor) RandomModels.predictors(model.config, model.digest, rank = 40) else null
    new SparsityPlan(
      new SparsityProfile(
        model.digest, method, UnionStrategy.parse(union), Array(0.5), thresholds, null, predictors),
      crossover)
  }

  for ((label, store) <- Seq[(String, (String, Seq[Int], Array[Float]) => StoredTensor)](
      "bf16" -> StoredTensor.bf16, "f32" -> StoredTensor.f32))
    test(s"dense logits of a $label checkpoint are the CPU engine's to bf16's precision") {
      onDevice(pair(RandomCheckpoint.write(1, shape, store)) { (cpu, cuda) =>
        compare(cpu, cuda, SparsityPlan.dense(cpu.digest), 0.03)
      })
    }

  test("tied embeddings and heads of 128 elements compute the same") {
    onDevice(pair(RandomCheckpoint.write(2, shape.copy(headSize = 128, kvHeads = 1, tied = true))) { (cpu, cuda) =>
      compare(cpu, cuda, SparsityPlan.dense(cpu.digest), 0.03)
    })
  }

  for (weights <- Seq(WeightType.INT8, WeightType.INT4))
    test(s"$weights weights give the CPU engine's logits at the same precision, but for int8 projections") {
      onDevice(pair(RandomCheckpoint.write(3, shape), weights) { (cpu, cuda) =>
        compare(cpu, cuda, SparsityPlan.dense(cpu.digest), 0.06)
        assert(cuda.cost === cpu.cost)
      })
    }

  for (method <- Method.values.toSeq if method.sparse; union <- Seq("own", "shared", "budget:0.3"))
    test(s"$method with union $union calls and loads about what the CPU engine does") {
      onDevice(pair(RandomCheckpoint.write(4, shape)) { (cpu, cuda) =>
        compare(cpu, cuda, plan(cpu, method, union), 0.25)
      })
    }

  for (precision <- Seq(WeightType.BF16, WeightType.INT8, WeightType.INT4); union <- Seq("own", "shared"))
    test(s"folded predictors in $precision with union $union call and load about what the CPU engine does") {
      onDevice(pair(RandomCheckpoint.write(4, shape)) { (cpu, cuda) =>
        val linear = plan(cpu, Method.D_COUNTDOWN, union)
        val folded = RandomModels.predictors(cpu.config, "folded", rank = 96, folded = true, precision)
        compare(cpu, cuda, new SparsityPlan(linear.profile.`with`(folded), linear.crossover), 0.25)
      })
    }

  for (method <- Seq(Method.CATS, Method.M_COUNTDOWN); union <- Seq("own", "shared", "budget:0.3"))
    test(s"$method with union $union and neuron scales calls and loads about what the CPU engine does") {
      onDevice(pair(RandomCheckpoint.write(4, shape)) { (cpu, cuda) =>
        val profile = plan(cpu, method, union).profile.`with`(RandomModels.neuronScales(cpu.config, 5))
        compare(cpu, cuda, new SparsityPlan(profile, Crossover.never()), 0.25)
      })
    }

  test("norms of down projections are the CPU engine's at each precision") {
    for (weights <- Seq(WeightType.BF16, WeightType.INT8))
      onDevice(pair(RandomCheckpoint.write(4, shape), weights) { (cpu, cuda) =>
        for ((a, e) <- cuda.downNorms.asScala.zip(cpu.downNorms.asScala))
          assert(error(a, e, 0, shape.inner) < 0.01)
      })
  }

  test("past the crossover a layer runs dense and says so") {
    onDevice(pair(RandomCheckpoint.write(5, shape)) { (cpu, cuda) =>
      compare(cpu, cuda, plan(cpu, Method.M_COUNTDOWN, "shared", new Crossover(Array(0.0))), 0.03)
    })
  }

  for (rank <- Seq(0, 24); union <- Seq("own", "shared"); crossed <- Seq(false, true))
    test(s"corrections of rank $rank with union $union${if (crossed) " past the crossover" else ""} are the CPU engine's") {
      onDevice(pair(RandomCheckpoint.write(6, shape)) { (cpu, cuda) =>
        // everything is called, so that no call is close to its threshold
        val profile = new SparsityProfile(
          cpu.digest, Method.M_COUNTDOWN, UnionStrategy.parse(union), Array(0.5), Array.fill(4, shape.layers)(-1f), null)
        val corrected = profile.`with`(RandomModels.corrections(cpu.config, 8, rank, 2))
        val crossover = if (crossed) new Crossover(Array(0.0)) else Crossover.never()
        compare(cpu, cuda, new SparsityPlan(corrected, crossover), 0.03)
      })
    }

  /** @param remaining tokens that sequences may be given in each call and those after it */
  private def decodeAll(
      runner: ModelRunner, steps: Int, perCall: Int, counters: SparsityCounters, remaining: Int => Int): Seq[Seq[Int]] = {
    var tokens = prefill(runner)
    var all = Vector.empty[Seq[Int]]
    while (all.size < steps) {
      val call = runner.decode(inputs(tokens, all.size, remaining(all.size)), counters)
      assert(call.size === perCall)
      all ++= call.asScala.map(_.tokens.toSeq)
      tokens = all.last
    }
    all
  }

  /** Every step looked at while the next one runs, as with large models. */
  private def stepwise(model: LoadedModel, plan: SparsityPlan, options: RunnerOptions): ModelRunner =
    CudaModelRunner.create(model.asInstanceOf[DeviceModel], plan, options, null, 1)

  test("steps in one call, and steps that run ahead, are the same steps one by one") {
    onDevice(pair(RandomCheckpoint.write(6, shape)) { (cpu, cuda) =>
      for (sparse <- Seq(false, true); temperature <- Seq(0.0, 0.9)) {
        val p = if (sparse) plan(cpu, Method.M_COUNTDOWN, "shared") else SparsityPlan.dense(cpu.digest)
        val options = new RunnerOptions(prompts.size, 256, new Sampling(temperature, 0.9), java.util.Set.of(), 1)
        def run(runner: ModelRunner, perCall: Int, remaining: Int => Int) = {
          val counters = new SparsityCounters(shape.layers, prompts.size, cuda.cost)
          val tokens = using(runner)(decodeAll(_, 16, perCall, counters, remaining))
          (tokens, counters.statistics.asScala.map(r => (r.layer, r.steps, r.ownDensity, r.unionDensity, r.bytesRead)))
        }
        val single = run(cuda.runner(p, options), 1, _ => 1)
        assert(run(cuda.runner(p, options), 8, _ => 8) === single)
        assert(run(stepwise(cuda, p, options), 1, 16 - _) === single)
      }
    })
  }

  test("a sequence that ends within a call drops out of its later steps and their statistics") {
    onDevice(pair(RandomCheckpoint.write(6, shape)) { (cpu, cuda) =>
      val dense = SparsityPlan.dense(cpu.digest)
      val n = prompts.size
      def options(ends: java.util.Set[Integer]) = new RunnerOptions(n, 256, Sampling.greedy, ends, 1)
      val free = using(cuda.runner(dense, options(java.util.Set.of()))) { runner =>
        decodeAll(runner, 8, 8, new SparsityCounters(shape.layers, n, cuda.cost), _ => 8)
      }
      val end = free(2)(3)
      val counters = new SparsityCounters(shape.layers, n, cuda.cost)
      val steps = using(cuda.runner(dense, options(java.util.Set.of(Integer.valueOf(end))))) { runner =>
        val remaining = Seq(8, 1, 8, 8, 5)
        val first = prefill(runner)
        val sequences = inputs(first, 0, 8).asScala.zip(remaining).map { case (s, r) =>
          new DecodeSequence(s.slot, s.token, s.position, s.random, s.outputIndex, r)
        }
        runner.decode(sequences.asJava, counters).asScala.map(_.tokens.toSeq).toSeq
      }
      val remaining = Seq(8, 1, 8, 8, 5)
      for (b <- 0 until n) {
        val mine = free.map(_(b))
        val length = math.min(remaining(b), mine.indexOf(end) match { case -1 => 8; case at => at + 1 })
        val expected = mine.take(length).padTo(steps.size, DecodeStep.NONE)
        assert(steps.map(_(b)) === expected.take(steps.size), s"sequence $b")
      }
      val counted = counters.statistics.asScala.filter(_.layer == 0).map(_.sequences).sum
      assert(counted === steps.flatten.count(_ != DecodeStep.NONE))
    })
  }

  test("while a step runs ahead a new sequence waits for the next, and ended ones and other tokens are left out of it") {
    onDevice(pair(RandomCheckpoint.write(6, shape)) { (cpu, cuda) =>
      val dense = SparsityPlan.dense(cpu.digest)
      val options = RunnerOptions.greedy(prompts.size, 256, 1)
      val counters = new SparsityCounters(shape.layers, prompts.size, cuda.cost)
      val expected = using(cuda.runner(dense, options))(decodeAll(_, 6, 1, counters, _ => 1))
      using(stepwise(cuda, dense, options)) { runner =>
        val first = prefill(runner)
        def input(b: Int, step: Int, remaining: Int) = new DecodeSequence(
          b, if (step == 0) first(b) else expected(step - 1)(b), prompts(b).size + step, stream, step + 1, remaining)
        def decode(sequences: DecodeSequence*): Seq[Int] = {
          val steps = runner.decode(sequences.asJava, counters)
          assert(steps.size === 1)
          steps.get(0).tokens.toSeq
        }
        assert(decode(input(0, 0, 9), input(1, 0, 1), input(2, 0, 9)) === expected(0).take(3))
        intercept[IllegalStateException](runner.logits())
        // 1 has ended, 3 joins after the step that is on its way; the others' order is new
        assert(decode(input(3, 0, 9), input(2, 1, 8), input(0, 1, 8)) ===
          Seq(DecodeStep.NONE, expected(1)(2), expected(1)(0)))
        assert(decode(input(3, 0, 9), input(2, 2, 7), input(0, 2, 7)) ===
          Seq(expected(0)(3), expected(2)(2), expected(2)(0)))
        // what ran ahead is not what is asked for: 2 repeats a step
        assert(decode(input(3, 1, 8), input(2, 2, 7), input(0, 3, 6)) ===
          Seq(expected(1)(3), expected(2)(2), expected(3)(0)))
        assert(decode(input(3, 2, 1), input(2, 3, 1), input(0, 4, 1)) ===
          Seq(expected(2)(3), expected(3)(2), expected(4)(0)))
        assert(runner.logits().length === 3 * shape.vocabulary)
      }
    })
  }

  test("sampling draws what the CPU's sampler draws from the same logits") {
    onDevice(pair(RandomCheckpoint.write(8, shape)) { (cpu, cuda) =>
      val dense = SparsityPlan.dense(cpu.digest)
      for (sampling <- Seq(new Sampling(0.7, 1), new Sampling(1.3, 0.8))) {
        val logits = using(cuda.runner(dense, RunnerOptions.greedy(prompts.size, 256, 1))) { runner =>
          prefill(runner)
          runner.logits.clone()
        }
        val sampler = new Sampler(sampling, shape.vocabulary)
        val expected = prompts.indices.map(b => sampler.sample(logits, b * shape.vocabulary, stream, 0))
        val options = new RunnerOptions(prompts.size, 256, sampling, java.util.Set.of(), 1)
        val drawn = using(cuda.runner(dense, options))(runner => prefill(runner))
        assert(drawn === expected)
      }
    })
  }

  test("scores that are observed are the CPU's") {
    onDevice(pair(RandomCheckpoint.write(9, shape)) { (cpu, cuda) =>
      for (method <- Seq(Method.CATS, Method.M_COUNTDOWN, Method.S_COUNTDOWN_ORACLE)) {
        def scores(model: LoadedModel): Seq[Array[Float]] = {
          var seen = Vector.empty[Array[Float]]
          val observer: ScoreObserver = (_, bucket, found, batch, scale) => {
            assert(batch === prompts.size && bucket === 3)
            val scaled = found.take(batch * shape.inner).zipWithIndex.map { case (s, i) =>
              if (scale == null) s else s * scale(i % shape.inner)
            }
            seen :+= scaled
          }
          using(model.observed(method, observer, RunnerOptions.greedy(prompts.size, 256, 1))) { runner =>
            prefill(runner)
            val counters = new SparsityCounters(shape.layers, prompts.size, model.cost)
            runner.decode(inputs(prompts.map(_.head), 0, 1), counters)
          }
          seen
        }
        val (actual, expected) = (scores(cuda), scores(cpu))
        assert(actual.size === shape.layers && expected.size === shape.layers)
        for ((a, e) <- actual.zip(expected)) assert(error(a, e, 0, a.length) < 0.04, method.toString)
      }
    })
  }

  test("the crossover is measured for every bucket") {
    onDevice(pair(RandomCheckpoint.write(9, shape)) { (cpu, cuda) =>
      for (method <- Seq(Method.CATS, Method.D_COUNTDOWN, Method.S_COUNTDOWN_ORACLE)) {
        val crossover = cuda.crossover(plan(cpu, method, "shared").profile, 64, 1)
        assert(crossover.density.length === 7 && crossover.density.forall(d => d >= 0 && d <= 2))
      }
    })
  }

  test("more sequences than a step takes, and positions that nobody reserved, are refused") {
    onDevice(pair(RandomCheckpoint.write(9, shape)) { (cpu, cuda) =>
      val dense = SparsityPlan.dense(cpu.digest)
      val tooMany = intercept[UserException](cuda.runner(dense, RunnerOptions.greedy(65, 64, 1)))
      assert(tooMany.getMessage.contains("65") && tooMany.getMessage.contains("--batch-size"))
      using(cuda.runner(dense, RunnerOptions.greedy(2, 64, 1))) { runner =>
        val batch = new TokenBatch(4)
        batch.addLast(1, 0, 1, stream)
        intercept[IllegalStateException](runner.prefill(batch))
        assert(runner.reserve(1, 64))
        assert(runner.prefill(batch).length === 1)
      }
    })
  }

  private def builtin[A](use: LoadedModel => A): A = {
    val model = Backends.load(
      ModelFiles.locate("builtin:summarizer-20m"), WeightType.BF16, Backend.CUDA, CudaDevice.all.get(0).ordinal)
    try use(model) finally model.close()
  }

  test("the built-in model has transformers' logits") {
    onDevice(builtin { model =>
      val cases = Documents.json("parity/summarizer-20m.json").elements.asScala.toSeq
      using(model.runner(SparsityPlan.dense(model.digest), RunnerOptions.greedy(1, 1024, 1))) { runner =>
        assert(runner.reserve(0, 1024))
        for (c <- cases) {
          val tokens = c.get("prompt").elements.asScala.map(_.asInt).toSeq
          val batch = new TokenBatch(tokens.size)
          for ((t, i) <- tokens.zipWithIndex)
            if (i == tokens.size - 1) batch.addLast(t, i, 0, stream) else batch.add(t, i, 0)
          runner.prefill(batch)
          for (pair <- c.get("logits").elements.asScala) {
            val expected = pair.get(1).asDouble
            assert(math.abs(runner.logits()(pair.get(0).asInt) - expected) < 0.25, s"$expected")
          }
        }
      }
    })
  }

  test("a checkpoint that transformers saved has its logits at every position") {
    onDevice {
      val expected = Documents.json("parity/tiny-device.json")
      val tokens = expected.get("tokens").elements.asScala.map(_.asInt).toSeq
      val model = Backends.load(
        ModelFiles.directory(Documents.tinyCheckpoint("tiny-device")), WeightType.BF16, Backend.CUDA,
        CudaDevice.all.get(0).ordinal)
      try using(model.runner(SparsityPlan.dense(model.digest), RunnerOptions.greedy(8, 128, 1))) { runner =>
        assert(runner.reserve(0, tokens.size))
        val batch = new TokenBatch(tokens.size)
        for ((t, i) <- tokens.zipWithIndex) batch.addLast(t, i, 0, stream)
        runner.prefill(batch)
        val pairs = for ((row, i) <- expected.get("logits").elements.asScala.toSeq.zipWithIndex; p <- row.elements.asScala)
          yield (runner.logits()(i * model.config.vocabulary + p.get(0).asInt), p.get(1).asDouble.toFloat)
        assert(error(pairs.map(_._1).toArray, pairs.map(_._2).toArray, 0, pairs.size) < 0.03, "all positions")
      } finally model.close()
    }
  }

  test("at least 97 % of the greedy answers to 200 documents are the CPU engine's") {
    onDevice {
      assume(Files.exists(SharedDocuments.folder), s"${SharedDocuments.folder} is not there")
      val documents = SharedDocuments.read("summaries-test.jsonl.xz", 200).map(_.prompt)
      def answers(model: LoadedModel, runner: (SparsityPlan, RunnerOptions) => ModelRunner): Map[String, String] = {
        val runs = new RunnerOptions(32, model.config.context, Sampling.greedy, model.config.endTokens, 2)
        val generator = new Generator(
          model, model.template, GenerationOptions.greedy(32, 40, model.config.context),
          documents.zipWithIndex.map { case (d, i) => new Prompt(i.toString, d) }.iterator.asJava,
          runner(SparsityPlan.dense(model.digest), runs))
        try generator.asScala.map(g => g.id -> g.output).toMap finally generator.close()
      }
      val expected = {
        val cpu = CpuModel.load(ModelFiles.locate("builtin:summarizer-20m"), WeightType.BF16)
        try answers(cpu, cpu.runner) finally cpu.close()
      }
      for (ahead <- Seq(false, true)) {
        val actual = builtin(m => answers(m, if (ahead) stepwise(m, _, _) else m.runner))
        val same = expected.count { case (id, text) => actual(id) == text }
        info(s"$same of ${documents.size} answers are the same${if (ahead) " with steps that run ahead" else ""}")
        assert(actual.size === documents.size && same >= 0.97 * documents.size)
      }
    }
  }
}
