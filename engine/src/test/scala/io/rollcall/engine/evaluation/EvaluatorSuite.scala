package io.rollcall.engine.evaluation

import scala.jdk.CollectionConverters._

import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.Documents
import io.rollcall.engine.calibration.Calibrator
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.generation.GenerationOptions
import io.rollcall.engine.runner.CpuModel
import io.rollcall.engine.sparsity._
import io.rollcall.kernels.WeightType

class EvaluatorSuite extends AnyFunSuite with BeforeAndAfterAll {
  private lazy val files = ModelFiles.locate("builtin:summarizer-20m")
  private lazy val model = CpuModel.load(files, WeightType.BF16)

  override def afterAll(): Unit = model.close()

  private val texts = Documents.many(14)
  private val documents = texts.zipWithIndex.map { case (text, i) =>
    new Evaluator.Document(i, s"d$i", text, text.split(" ").take(5).mkString(" "))
  }

  private def plan(sparsity: Double): SparsityPlan = new SparsityPlan(
    Calibrator.calibrate(
      model, Method.M_COUNTDOWN, new UnionStrategy.Shared, Array(sparsity), 4, 8, model.template,
      texts.take(8).asJava, "test prompts", 1),
    Crossover.never())

  private def evaluate(plans: Seq[SparsityPlan], documents: Seq[Evaluator.Document]): Evaluation =
    new Evaluator(model, files, model.template, GenerationOptions.greedy(4, 12, 256), 1, (_, _) => ())
      .evaluate(plans.asJava, documents.asJava)

  private def sums(scores: PlanScores): PositionSums = scores.documents.asScala
    .map(d => new PositionSums(d.tokens, d.loss, d.hits, d.divergence))
    .foldLeft(PositionSums.NONE)(_ plus _)

  test("sparser plans foresee the references worse, and diverge further from dense") {
    val evaluation = evaluate(Seq(plan(0.3), plan(0.8)), documents)
    val Seq(dense, mild, harsh) = evaluation.plans.asScala.toSeq
    assert(sums(dense).divergence === 0.0)
    assert(dense.documents.asScala.forall(_.same))
    assert(sums(mild).divergence > 0 && sums(harsh).divergence > 2 * sums(mild).divergence)
    assert(sums(harsh).perplexity > 1.1 * sums(dense).perplexity)
    assert(harsh.documents.asScala.count(_.same) < documents.size)
    val full = harsh.steps.get(4)
    assert(full.bytesRead < full.bytesDense && math.abs(full.unionDensity - 0.2) < 0.08)
    assert(full.ownDensity < full.unionDensity)
    assert(dense.steps.get(4).ownDensity === 1.0)
  }

  test("steps of a full batch count for documents, the last ones by their own size") {
    val scores = evaluate(Nil, documents).plans.get(0)
    val inFull = sums(scores).tokens
    assert(inFull % 4 === 0 && inFull === scores.steps.get(4).sequences / 8)
    assert(scores.smaller.asScala.keySet.subsetOf(Set(1, 2, 3)))
    val reader = new ReferenceReader(model.model, files, model.template)
    val all = documents.map(d => reader.read(d.index, d.id, d.text, d.reference).reference.length).sum
    assert(inFull + scores.smaller.asScala.values.map(_.tokens).sum === all)
  }

  test("a document that does not fit is left out, and says why") {
    val long = new Evaluator.Document(99, "long", "word " * 400, "words")
    val evaluation = evaluate(Nil, documents.take(5) :+ long)
    assert(evaluation.documents === 5)
    assert(evaluation.leftOut.asScala === Map("longer than the context of 256" -> 1L))
  }

  test("progress counts each plan's reference and answer of each document once") {
    var (passes, tokens) = (0L, 0L)
    new Evaluator(
      model, files, model.template, GenerationOptions.greedy(4, 12, 256), 1,
      (p, t) => { assert(p >= passes && t > tokens); passes = p; tokens = t })
      .evaluate(Seq.fill(5)(plan(0.3)).asJava, documents.take(6).asJava)
    assert(passes === 6 * 2 * 6)
  }

  test("parts of a corpus add up") {
    val whole = evaluate(Nil, documents.take(4))
    val sum = whole.plus(evaluate(Nil, documents.slice(4, 8)))
    assert(sum.documents === 8)
    assert(sum.plans.get(0).documents.asScala.map(_.document) === (0 until 8))
  }

  test("ROUGE-L counts words in order, and no case or punctuation") {
    assert(RougeL.score("The quick, brown fox", "the brown FOX!") === 2 * 3.0 / 7)
    assert(RougeL.score("a b c d", "d c b a") === 2 * 1.0 / 8)
    assert(RougeL.score("x86-64 tools", "x86 64 tool") === 2 * 2.0 / 6)
    assert(RougeL.score("words", "...") === 0 && RougeL.score("", "words") === 0)
  }

  test("a bootstrap interval holds the mean, narrows with documents and repeats with its seed") {
    def interval(n: Int, seed: Long) = {
      val random = new scala.util.Random(4)
      val values = Array.fill(n)(random.nextGaussian())
      new Bootstrap(n, seed).interval(times => times.indices.map(i => times(i) * values(i)).sum / n)
    }
    val wide = interval(50, 1)
    val narrow = interval(800, 1)
    assert(wide.low < 0 && wide.high > 0)
    assert(math.abs((wide.high - wide.low) - 4 / math.sqrt(50)) < 0.15)
    assert(narrow.high - narrow.low < 0.5 * (wide.high - wide.low))
    assert(interval(50, 1) == wide && interval(50, 2) != wide)
  }
}
