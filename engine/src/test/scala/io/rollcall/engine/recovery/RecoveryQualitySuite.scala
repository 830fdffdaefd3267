package io.rollcall.engine.recovery

import java.nio.file.{Files, Path, Paths}

import scala.jdk.CollectionConverters._

import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.SharedDocuments
import io.rollcall.engine.calibration.{Calibrator, DecodePositions}
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.evaluation.{PositionSums, ReferencedDocument, ReferenceReader, ReferenceScorer, TeacherForcedRunner}
import io.rollcall.engine.generation.GenerationOptions
import io.rollcall.engine.runner.CpuModel
import io.rollcall.engine.sparsity._
import io.rollcall.kernels.WeightType

/**
 * What corrections buy on the built-in model, over documents in the folder shared/ beside the project: a
 * short check always, and the table of the README with ROLLCALL_DOCUMENTS documents to fit to and as many
 * to judge by. Profiles of d-countdown come from train-predictor and are looked for in ROLLCALL_PROFILES,
 * d-countdown-0.7.json and so on.
 *
 * {{{
 * ROLLCALL_DOCUMENTS=120 ROLLCALL_PROFILES=/tmp/profiles ./mvnw -pl kernels,engine test -Dtest.heap=4g \
 *     -DwildcardSuites=io.rollcall.engine.recovery.RecoveryQualitySuite
 * }}}
 */
class RecoveryQualitySuite extends AnyFunSuite with BeforeAndAfterAll {
  private val documents = sys.env.get("ROLLCALL_DOCUMENTS").map(_.toInt)
  private def chosen(name: String, otherwise: String): Seq[String] =
    sys.env.getOrElse(name, otherwise).split(",").toSeq

  private lazy val files = ModelFiles.locate("builtin:summarizer-20m")
  private lazy val model = CpuModel.load(files, WeightType.BF16)

  override def afterAll(): Unit = model.close()

  private def read(of: Seq[DecodePositions.Document]): Seq[ReferencedDocument] = {
    val reader = new ReferenceReader(model.model, files, model.template)
    of.zipWithIndex.map { case (d, i) => reader.read(i, d.id, d.prompt, d.reference) }
  }

  private def profile(
      method: Method, sparsity: Double, batchSize: Int, sample: Seq[DecodePositions.Document]): SparsityProfile =
    if (method.needsPredictor) {
      val file: Path = Paths.get(sys.env("ROLLCALL_PROFILES")).resolve(s"$method-$sparsity.json")
      SparsityProfile.fromJson(
        Files.readString(file), file.toString, name => Files.readAllBytes(file.resolveSibling(name)))
    } else {
      val target = new Calibrator.Target(method, null, new UnionStrategy.Shared, batchSize)
      val positions =
        new DecodePositions(model, files, model.template, GenerationOptions.greedy(8, 100, 1024), 1)
      val documents = sample.take(64)
      val scores = Calibrator.scores(model, target, positions, documents.iterator.asJava, true, 1)
      Calibrator.profile(model.digest, target, Array(sparsity), scores, "valid", documents.size)
    }

  /** Corrections of several ranks; those that take one pass share it. */
  private def corrected(
      plain: SparsityProfile, batchSize: Int, ranks: Seq[Int], layersPerPass: Int,
      training: Seq[ReferencedDocument]): Seq[SparsityProfile] = {
    val passes = new RecoveryPass(model, new RecoveryOptions(ranks.max, batchSize, layersPerPass), 1)
    lazy val whole = passes.gather(plain, new LayerRange(0, 8), training.asJava, () => ())
    ranks.map { rank =>
      val options = new RecoveryOptions(rank, batchSize, layersPerPass)
      val corrections = new Recovery(plain, model.config, model.name, options).fit(
        (soFar, layers) =>
          if (layers.count == 8) whole
          else passes.gather(soFar, layers, training.asJava, () => ()),
        "corrections", "valid", training.size)
      plain.`with`(corrections)
    }
  }

  /** Perplexities of dense and of these. */
  private def perplexities(
      of: Seq[SparsityProfile], batchSize: Int, test: Seq[ReferencedDocument]): Seq[Double] = {
    val scorer = new ReferenceScorer(batchSize, model.config.vocabulary)
    val plans = (SparsityProfile.dense(model.digest) +: of).map(new SparsityPlan(_, Crossover.never()))
    val runner = TeacherForcedRunner.of(model, plans.asJava, batchSize, test.map(_.positions).max, 1)
    try runner.run(test.iterator.asJava, scorer)
    finally runner.close()
    plans.indices.map(r =>
      test.map(d => scorer.document(d.index, r)).foldLeft(PositionSums.NONE)(_ plus _).perplexity)
  }

  test("corrections recover perplexity that sparsity cost") {
    assume(Files.exists(SharedDocuments.folder), s"${SharedDocuments.folder} is not there")
    val sample = SharedDocuments.read("summaries-valid.jsonl.xz", documents.getOrElse(64))
    val training = read(sample)
    val test = read(SharedDocuments.read("summaries-test.jsonl.xz", documents.getOrElse(24)))
    val perPass = chosen("ROLLCALL_LAYERS_PER_PASS", "8").map(_.toInt)
    for {
      batchSize <- chosen("ROLLCALL_BATCHES", if (documents.isEmpty) "1" else "1,8").map(_.toInt)
      method <- chosen("ROLLCALL_METHODS", if (documents.isEmpty) "cats" else "cats,m-countdown,d-countdown")
      sparsity <- chosen("ROLLCALL_SPARSITIES", if (documents.isEmpty) "0.7" else "0.7,0.8,0.9").map(_.toDouble)
    } {
      val plain = profile(Method.parse(method), sparsity, batchSize, sample)
      val most = RecoveryOptions.largestRank(model.config, plain.union, batchSize)
      val ranks = chosen("ROLLCALL_RANKS", s"0,$most").map(_.toInt)
      val recovered = perPass.flatMap(corrected(plain, batchSize, ranks, _, training))
      val found = perplexities(plain +: recovered, batchSize, test)
      note(f"batch $batchSize $method $sparsity: dense ${found(0)}%.3f, sparse ${found(1)}%.3f, " +
        perPass.flatMap(p => ranks.map(r => s"rank $r by $p")).zip(found.drop(2))
          .map { case (name, p) => f"$name $p%.3f" }.mkString(", "))
      if (documents.isEmpty) assert(found.last < 0.95 * found(1))
    }
  }
}
