package io.rollcall.engine.evaluation

import java.nio.file.Files

import scala.collection.mutable
import scala.jdk.CollectionConverters._

import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.SharedDocuments
import io.rollcall.engine.calibration.ScoreSketches
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.runner._
import io.rollcall.engine.sparsity._
import io.rollcall.kernels.WeightType

/**
 * Perplexities of references against what evaluate.py measured with PyTorch (evaluation.log, over two
 * thousand documents of which a thousand lie in the folder shared/ beside the project). A hundred of them
 * show that sparsity costs here what it cost there; more are asked for with ROLLCALL_DOCUMENTS. All, with
 * every method and sparsity (fewer with ROLLCALL_METHODS and ROLLCALL_SPARSITIES), make the table of the
 * README. Thresholds that are quantiles of all positions' scores together stand beside ("pool").
 *
 * {{{
 * ROLLCALL_DOCUMENTS=1000 ./mvnw -pl kernels,engine test -Dtest.heap=4g \
 *     -DwildcardSuites=io.rollcall.engine.evaluation.EvaluationAgreementSuite
 * }}}
 */
class EvaluationAgreementSuite extends AnyFunSuite with BeforeAndAfterAll {
  private val shared = SharedDocuments.folder.getParent
  private val documents = sys.env.get("ROLLCALL_DOCUMENTS").map(_.toInt).getOrElse(100)
  private val all = documents > 100
  private def narrowed(name: String, few: Seq[String], many: Seq[String]): Seq[String] =
    sys.env.get(name).map(_.split(",").toSeq).getOrElse(if (all) many else few)
  private val sparsities =
    narrowed("ROLLCALL_SPARSITIES", Seq("0.7"), Seq("0.5", "0.7", "0.8", "0.9")).map(_.toDouble)
  private val methods = narrowed("ROLLCALL_METHODS", Seq("m", "s"), Seq("cats", "m", "d", "s")).map(
    name => name -> Map(
      "cats" -> Method.CATS,
      "m" -> Method.M_COUNTDOWN,
      "d" -> Method.D_COUNTDOWN_ORACLE,
      "s" -> Method.S_COUNTDOWN_ORACLE)(name))

  private lazy val files = ModelFiles.locate("builtin:summarizer-20m")
  private lazy val model = CpuModel.load(files, WeightType.BF16)

  override def afterAll(): Unit = model.close()

  private def read(name: String, most: Int): Seq[ReferencedDocument] = {
    val reader = new ReferenceReader(model.model, files, model.template)
    SharedDocuments.read(name, most).zipWithIndex.map { case (d, i) =>
      reader.read(i, d.id, d.prompt, d.reference)
    }
  }

  /** Perplexity by the name that the log has for it. */
  private lazy val logged: Map[String, Double] = {
    val entry = """(dense|\S+-(?:ideal|thr)-\S+) \{'ppl': ([0-9.]+)""".r
    val log = Files.readString(shared.resolve("training").resolve("evaluation.log"))
    entry.findAllMatchIn(log).map(m => m.group(1) -> m.group(2).toDouble).toMap
  }

  /** Means over positions of each position's quantile, [sparsity][layer]. */
  private final class Means extends ScoreObserver {
    private val sums = sparsities.map(_ => new Array[Double](model.config.layers))
    private var positions = 0

    override def observe(
        layer: Int, bucket: Int, scores: Array[Float], batch: Int, scale: Array[Float]): Unit = {
      val width = model.config.intermediateSize
      positions += (if (layer == 0) batch else 0)
      for (row <- 0 until batch) {
        val values = Array.tabulate(width)(i =>
          math.abs(scores(row * width + i)) * (if (scale == null) 1 else scale(i)))
        for ((s, sum) <- sparsities.zip(sums)) sum(layer) += Quantiles.quantile(values, width, s)
      }
    }

    def thresholds: Seq[Array[Float]] = sums.map(_.map(sum => (sum / positions).toFloat))
  }

  /** Shows scores to both. */
  private def both(a: ScoreObserver, b: ScoreObserver): ScoreObserver = new ScoreObserver {
    override def begin(sequences: java.util.List[DecodeSequence]): Unit = {
      a.begin(sequences)
      b.begin(sequences)
    }

    override def observe(
        layer: Int, bucket: Int, scores: Array[Float], batch: Int, scale: Array[Float]): Unit = {
      a.observe(layer, bucket, scores, batch, scale)
      b.observe(layer, bucket, scores, batch, scale)
    }
  }

  /**
   * Thresholds at the decode positions of the validation references, as evaluate.py calibrates, means of
   * the positions' quantiles ("thr"), and of all positions together ("pool").
   */
  private def profiles(valid: Seq[ReferencedDocument], context: Int): Map[String, SparsityProfile] =
    (for ((name, method) <- methods) yield {
      val means = new Means
      val pooled =
        new ScoreSketches(new UnionStrategy.Own, 1, model.config.layers, model.config.intermediateSize)
      val runner = model.observed(method, both(means, pooled), RunnerOptions.greedy(8, context, 1))
      val forced = new TeacherForcedRunner(model, 8, context, Seq(runner).asJava)
      try forced.run(valid.iterator.asJava, (_, _, _, _, _, _) => ())
      finally forced.close()
      def profile(s: Double, thresholds: Array[Float]) = new SparsityProfile(
        model.digest, method, new UnionStrategy.Own, Array(s), Array(thresholds), null)
      means.thresholds.zip(sparsities).map { case (thresholds, s) =>
        s"$name-thr-$s" -> profile(s, thresholds)
      } ++ sparsities.map(s => s"$name-pool-$s" -> profile(s, pooled.distributions.thresholds(s)(0)))
    }).flatten.toMap

  test("references get the perplexities that PyTorch measured, ideal and by threshold") {
    assume(Files.exists(shared.resolve("data")), s"$shared is not there")
    val test = read("summaries-test.jsonl.xz", documents)
    val valid = read("summaries-valid.jsonl.xz", documents)
    val context = (test ++ valid).map(_.positions).max
    val thresholds = profiles(valid, context)
    val names = mutable.ArrayBuffer("dense")
    val options = RunnerOptions.greedy(1, context, 1)
    val runners =
      mutable.ArrayBuffer[CpuModelRunner](model.runner(SparsityPlan.dense(model.digest), options))
    for ((name, method) <- methods; s <- sparsities) {
      def runner(by: String) =
        model.runner(new SparsityPlan(thresholds(s"$name-$by-$s"), Crossover.never()), options)
      names += s"$name-ideal-$s" += s"$name-thr-$s" += s"$name-pool-$s"
      runners += model.ideal(method, s, context, 1) += runner("thr") += runner("pool")
    }
    val scorer = new ReferenceScorer(1, model.config.vocabulary)
    val forced = new TeacherForcedRunner(model, 1, context, runners.asJava)
    try forced.run(test.iterator.asJava, scorer)
    finally forced.close()
    val sums = names.indices.map(r =>
      test.map(d => scorer.document(d.index, r)).foldLeft(PositionSums.NONE)(_ plus _))
    val dense = sums.head.perplexity
    for ((name, sum) <- names.zip(sums)) {
      val density = forced.statistics(names.indexOf(name)).asScala.map(_.ownDensity).sum / 8
      val measured = sum.perplexity / dense
      val log = logged.get(name).fold("") { perplexity =>
        val expected = perplexity / logged("dense")
        f" log $perplexity%8.3f, to dense log $expected%.3f (${100 * (measured / expected - 1)}%+.1f %%)"
      }
      info(f"$name%-14s ${sum.perplexity}%8.3f to dense $measured%.3f$log, accuracy ${sum.hits.toDouble / sum.tokens}%.4f," +
        f" density $density%.4f, kl ${sum.divergence / sum.tokens}%.4f")
    }
    assert(sums.map(_.tokens).distinct === Seq(test.map(_.reference.length).sum))
    for ((name, sum) <- names.zip(sums) if logged.contains(name)) {
      val (measured, expected) = (sum.perplexity / dense, logged(name) / logged("dense"))
      assert(math.abs(measured / expected - 1) < (if (documents > 600) 0.04 else 0.1), name)
    }
  }
}
