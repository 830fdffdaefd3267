package io.rollcall.engine.generation

import scala.jdk.CollectionConverters._

import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.{Documents, UserException}
import io.rollcall.engine.calibration.Calibrator
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.runner.CpuModel
import io.rollcall.engine.sparsity._
import io.rollcall.engine.statistics.LayerStatistics
import io.rollcall.kernels.WeightType

class GeneratorSuite extends AnyFunSuite with BeforeAndAfterAll {
  private lazy val model =
    CpuModel.load(ModelFiles.locate("builtin:summarizer-20m"), WeightType.BF16)

  override def afterAll(): Unit = model.close()

  private val documents = Documents.many(24)
  private val prompts = documents.zipWithIndex.map { case (d, i) => new Prompt(s"p$i", d) }

  private def profile(method: Method, union: String, sparsity: Double): SparsityProfile =
    Calibrator.calibrate(
      model, method, UnionStrategy.parse(union), Array(sparsity), 8, 24, model.template,
      documents.take(16).asJava, "test prompts", 2)

  private def run(
      plan: SparsityPlan,
      options: GenerationOptions,
      workers: Int = 1,
      prompts: Seq[Prompt] = prompts): (Seq[Generation], Seq[LayerStatistics], PhaseTimes) = {
    val generator =
      new Generator(model, plan, model.template, options, workers, prompts.iterator.asJava)
    try {
      val generations = generator.asScala.toVector
      (generations, generator.statistics.asScala.toSeq, generator.times)
    } finally generator.close()
  }

  private val dense = SparsityPlan.dense(model.digest)
  private def greedy(batch: Int) = GenerationOptions.greedy(batch, 24, 256)

  private def texts(generations: Seq[Generation]): Map[String, (String, FinishReason, Double)] =
    generations.map(g => g.id -> ((g.output, g.finishReason, g.ownDensity))).toMap

  test("every prompt is answered once, whatever the batch size") {
    val one = run(dense, greedy(1))._1
    for (batch <- Seq(3, 16)) {
      val many = run(dense, greedy(batch))._1
      assert(many.map(_.id).sorted === prompts.map(_.id).sorted)
      assert(texts(many) === texts(one))
    }
    assert(one.count(_.finishReason == FinishReason.STOP) > prompts.size / 2)
  }

  for (method <- Seq("cats", "m-countdown", "s-countdown-oracle"))
    test(s"with union own $method gives the same text in any company, order and number of workers") {
      val own = profile(Method.parse(method), "own", 0.6)
      val reference = texts(run(new SparsityPlan(own, Crossover.never()), greedy(1))._1)
      assert(reference !== texts(run(dense, greedy(1))._1), "sparsity changes something")
      for (batch <- Seq(5, 32); crossover <- Seq(Crossover.never(), new Crossover(Array(0.7)))) {
        val plan = new SparsityPlan(own, crossover)
        assert(texts(run(plan, greedy(batch), workers = 2)._1) === reference)
        assert(texts(run(plan, greedy(batch), prompts = prompts.reverse)._1) === reference)
      }
    }

  test("sampling under own depends on the seed and the prompt's id alone") {
    val plan = new SparsityPlan(profile(Method.M_COUNTDOWN, "own", 0.6), Crossover.never())
    def sampled(batch: Int, seed: Long) =
      texts(run(plan, new GenerationOptions(batch, 24, 256, 0.8, 0.9, seed), prompts = prompts.take(12))._1)
    assert(sampled(1, 1) === sampled(6, 1))
    assert(sampled(6, 1) !== sampled(6, 2))
  }

  for ((weights, rowBytes, kept) <- Seq(
      (WeightType.INT8, 384 + 2 * 384 / 32, 0.8), (WeightType.INT4, 384 / 2 + 2 * 384 / 32, 0.2)))
    test(s"$weights reads $rowBytes bytes a row of 384 weights, and keeps greedy answers") {
      val quantised = CpuModel.load(ModelFiles.locate("builtin:summarizer-20m"), weights)
      try {
        val generator = new Generator(
          quantised, dense, quantised.template, greedy(8), 2, prompts.iterator.asJava)
        try {
          val answers = generator.asScala.map(g => g.id -> g.output).toMap
          val stored = run(dense, greedy(8))._1.map(g => g.id -> g.output).toMap
          val same = prompts.count(p => answers(p.id) == stored(p.id))
          assert(same >= kept * prompts.size, s"$same of ${prompts.size}")
          val row = generator.statistics.get(0)
          assert(row.bytesDense === row.steps * 3 * 1536 * rowBytes)
        } finally generator.close()
      } finally quantised.close()
    }

  test("under shared the union's density is near the wanted one at every batch size") {
    val shared = profile(Method.M_COUNTDOWN, "shared", 0.5)
    assert(shared.thresholds.length === 4)
    for (batch <- Seq(1, 8)) {
      val rows = run(new SparsityPlan(shared, Crossover.never()), greedy(batch))._2
      val full = rows.filter(_.batchSize == batch)
      val density = full.map(r => r.unionDensity * r.steps).sum / full.map(_.steps).sum
      assert(math.abs(density - 0.5) < 0.08, s"batch $batch: $density")
    }
  }

  test("a budget is never overrun") {
    val plan = new SparsityPlan(profile(Method.CATS, "budget:0.4", 0.3), Crossover.never())
    val (generations, rows, _) = run(plan, greedy(8))
    assert(rows.forall(_.unionDensity <= 0.4) && rows.exists(_.unionDensity > 0.39))
    assert(generations.map(_.unionDensity).filterNot(_.isNaN).forall(_ <= 0.4))
  }

  test("statistics, generations and times count the same steps") {
    val plan = new SparsityPlan(profile(Method.M_COUNTDOWN, "shared", 0.5), Crossover.never())
    val (generations, rows, times) = run(plan, greedy(5))
    val steps = generations.map(_.outputTokens - 1).sum
    assert(times.decodeTokens === steps)
    assert(times.prefillTokens === generations.map(_.promptTokens).sum)
    assert(rows.map(_.layer).distinct.sorted === (0 until 8))
    for (layer <- 0 until 8) assert(rows.filter(_.layer == layer).map(_.sequences).sum === steps)
    val byRow = rows.map(r => r.ownDensity * r.sequences).sum / 8
    val byText = generations.filter(_.outputTokens > 1).map(g => g.ownDensity * (g.outputTokens - 1)).sum
    assert(math.abs(byRow - byText) < 1e-6 * byRow)
  }

  test("a bad prompt becomes an error and the rest goes on") {
    val bad = Seq(new Prompt("null", null), new Prompt("blank", " \n\t"),
      new Prompt("long", "word " * 2000))
    val (generations, _, _) = run(dense, greedy(4), prompts = bad ++ prompts.take(6) ++ bad.map(p => new Prompt(p.id + "2", p.text)))
    val (errors, answers) = generations.partition(_.finishReason == FinishReason.ERROR)
    assert(answers.map(_.id).toSet === prompts.take(6).map(_.id).toSet)
    assert(errors.map(_.id).toSet === Set("null", "blank", "long", "null2", "blank2", "long2"))
    assert(errors.find(_.id == "null").get.error === "prompt is null")
    assert(errors.find(_.id == "blank").get.error === "prompt is empty")
    val long = errors.find(_.id == "long").get
    assert(long.error.matches("prompt has \\d+ tokens and the context 256, .*") && long.promptTokens > 2000)
    assert(errors.forall(e => e.output.isEmpty && e.outputTokens == 0))
  }

  test("nothing but bad prompts ends at once") {
    assert(run(dense, greedy(4), prompts = Seq(new Prompt("a", null)))._1.size === 1)
    assert(run(dense, greedy(4), prompts = Nil)._1.isEmpty)
  }

  test("generation stops at the limit of new tokens and at the end of the context") {
    val few = run(dense, GenerationOptions.greedy(4, 2, 256))._1
    assert(few.forall(_.outputTokens <= 2))
    assert(few.exists(g => g.finishReason == FinishReason.LENGTH && g.outputTokens == 2))
    val prompt = prompts.maxBy(_.text.length)
    val length = model.template.encode(prompt.text).length
    val tight = run(dense, GenerationOptions.greedy(1, 100, length + 3), prompts = Seq(prompt))._1.head
    assert(tight.finishReason === FinishReason.LENGTH && tight.outputTokens === 3)
  }

  test("a context past the model's, and a plan of another model, are refused") {
    val long = intercept[UserException](run(dense, GenerationOptions.greedy(1, 1, 5000)))
    assert(long.getMessage.contains("5000") && long.getMessage.contains("1024"))
    val other = intercept[UserException](run(SparsityPlan.dense("0000"), greedy(1)))
    assert(other.getMessage.contains("0000"))
  }

  test("options out of range are refused with their value") {
    for ((make, value) <- Seq[(() => Any, String)](
        (() => GenerationOptions.greedy(0, 1, 10), "0"),
        (() => GenerationOptions.greedy(1, -4, 10), "-4"),
        (() => new GenerationOptions(1, 1, 10, -1, 1, 0), "-1"),
        (() => new GenerationOptions(1, 1, 10, Double.NaN, 1, 0), "NaN"),
        (() => new GenerationOptions(1, 1, 10, 1, 1.5, 0), "1.5")))
      assert(intercept[UserException](make()).getMessage.contains(value))
  }
}
