package io.rollcall.engine.recovery

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.{RandomModels, UserException}
import io.rollcall.engine.evaluation.ReferencedDocument
import io.rollcall.engine.sparsity._

class RecoverySuite extends AnyFunSuite {
  /** Few tokens and many neurons: errors have something in common, and 1 % is a few directions. */
  private val model = RandomModels.model(5, hidden = 24, intermediate = 600, vocabulary = 12)
  private val config = model.config

  private def documents(seed: Int, n: Int): Seq[ReferencedDocument] = {
    val random = new Random(seed)
    def tokens(n: Int) = Array.fill(n)(1 + random.nextInt(11))
    Seq.tabulate(n)(i =>
      new ReferencedDocument(i, s"d$i", tokens(1 + random.nextInt(8)), tokens(1 + random.nextInt(8))))
  }

  private def profile(union: String): SparsityProfile = new SparsityProfile(
    model.digest, Method.M_COUNTDOWN, UnionStrategy.parse(union), Array(0.5),
    Array(Array.fill(3)(1.2f), Array.fill(3)(1.4f), Array.fill(3)(1.7f)), null)

  private val training = documents(1, 400)

  private def recover(of: SparsityProfile, options: RecoveryOptions): SparsityProfile = {
    val pass = new RecoveryPass(model, options, 1)
    val corrections = new Recovery(of, config, model.name, options).fit(
      (soFar, layers) => pass.gather(soFar, layers, training.asJava, () => ()), "c", "corpus", 400)
    of.`with`(corrections)
  }

  /** Squared error of the residual stream after the last layer, at other documents. */
  private def error(of: SparsityProfile, batchSize: Int): Double =
    squares(
      new RecoveryPass(model, new RecoveryOptions(0, batchSize, 1), 1)
        .gather(of, new LayerRange(2, 3), documents(2, 60).asJava, () => ()).get(0))

  private def squares(s: CorrectionStatistics): Double =
    (0 until s.training.buckets).map(s.training.squares(_)).sum

  for (union <- Seq("shared", "own"))
    test(s"corrected outputs are nearer to dense's, maps more than biases, under $union") {
      val plain = profile(union)
      val biases = recover(plain, new RecoveryOptions(0, 4, 1))
      val rank = RecoveryOptions.largestRank(config, plain.union, 4)
      assert(rank >= 4)
      val maps = recover(plain, new RecoveryOptions(rank, 4, 1))
      assert(maps.corrections.fitting.rank.toSeq === Seq.fill(3)(rank))
      assert(maps.corrections.fitting.positions > 1000)
      val left = Seq(plain, biases, maps).map(error(_, 4))
      assert(left(1) < 0.99 * left(0) && left(2) < 0.9 * left(1), left)
      assert(biases.corrections.layers.asScala.map(_.bias.length).distinct === Seq(if (union == "own") 1 else 3))
    }

  test("the first layer of a pass is corrected for what earlier layers left, too") {
    val options = new RecoveryOptions(1, 2, 1)
    val pass = new RecoveryPass(model, options, 1)
    val plain = profile("shared")
    val few = training.take(40).asJava
    val alone = pass.gather(plain, new LayerRange(2, 3), few, () => ()).get(0)
    val later = pass.gather(plain, new LayerRange(0, 3), few, () => ()).get(2)
    val early = pass.gather(plain, new LayerRange(0, 3), few, () => ()).get(0)
    assert(squares(alone) > 1.3 * squares(later))
    val first = pass.gather(plain, new LayerRange(0, 1), few, () => ()).get(0)
    assert(squares(first) === squares(early))
  }

  test("every bucket up to the batch size has positions of its own") {
    val options = new RecoveryOptions(0, 4, 3)
    val gathered = new RecoveryPass(model, options, 1)
      .gather(profile("shared"), new LayerRange(0, 3), training.asJava, () => ()).get(1)
    for (k <- 0 to 2) assert(gathered.training.count(k) > 20, k)
    assert(gathered.heldOut.count > gathered.training.count / 16)
  }

  test("a rank that makes corrections more than 1 % of the model is refused with the largest there is") {
    val union = new UnionStrategy.Shared
    val most = RecoveryOptions.largestRank(config, union, 4)
    def parameters(rank: Int) = 3L * (2 * rank + 3) * 24
    assert(most >= 1 && parameters(most) <= 0.01 * config.parameters && parameters(most + 1) > 0.01 * config.parameters)
    val refused = intercept[UserException](
      new Recovery(profile("shared"), config, "tiny", new RecoveryOptions(most + 1, 4, 3))).getMessage
    assert(refused.contains("more than 1 %") && refused.contains("tiny") && refused.contains(s"at most $most"))
    new Recovery(profile("shared"), config, "tiny", new RecoveryOptions(most, 4, 3))
  }

  test("the model's parameters are counted as its weights are") {
    val w = model.weights
    val layers = w.layers.asScala.map(l =>
      Seq(l.query, l.key, l.value, l.output, l.gate, l.up, l.down).map(m => m.rows.toLong * m.columns).sum +
        l.attentionNorm.length + l.feedForwardNorm.length)
    assert(config.parameters === layers.sum + w.embedding.rows * w.embedding.columns + w.norm.length)
  }

  test("dense profiles, documents without a position and too little memory are refused") {
    val options = new RecoveryOptions(0, 1, 3)
    val dense = intercept[UserException](
      new Recovery(SparsityProfile.dense("d"), config, "tiny", options)).getMessage
    assert(dense.contains("dense"))
    val none = intercept[UserException](
      new Recovery(profile("own"), config, "tiny", options).fit(
        (p, l) => new RecoveryPass(model, options, 1).gather(p, l, java.util.List.of(), () => ()),
        "c", "corpus.json", 0)).getMessage
    assert(none.contains("corpus.json") && none.contains("decode position"))
    val large = intercept[UserException](new RecoveryOptions(1, 1, 64).requireMemory(16384)).getMessage
    assert(large.contains("--rank 0") && large.contains("16384"))
    new RecoveryOptions(0, 1, 64).requireMemory(16384)
  }
}
