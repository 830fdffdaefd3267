package io.rollcall.engine.calibration

import java.io.{ByteArrayInputStream, ByteArrayOutputStream, ObjectInputStream, ObjectOutputStream}

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.runner.DecodeSequence
import io.rollcall.engine.sampling.RandomStream
import io.rollcall.engine.sparsity.UnionStrategy

class ScoreSketchesSuite extends AnyFunSuite {
  private val width = 400
  private val random = new Random(3)

  private def steps(count: Int, batch: Int): Seq[Array[Float]] =
    Seq.fill(count)(Array.fill(batch * width)(random.nextGaussian().toFloat))

  private def copied(scores: ScoreDistributions): ScoreDistributions = {
    val bytes = new ByteArrayOutputStream
    new ObjectOutputStream(bytes).writeObject(scores)
    new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray)).readObject()
      .asInstanceOf[ScoreDistributions]
  }

  private def rows(scores: Array[Float]): Seq[Seq[Float]] =
    scores.toSeq.grouped(width).map(_.map(math.abs)).toSeq

  test("under own the threshold has the wanted sparsity over all positions, for every bucket") {
    val sketches = new ScoreSketches(new UnionStrategy.Own, 8, 1, width)
    // positions differ in how high all their scores are
    val seen = steps(200, 5).map { scores =>
      val loud = math.exp(random.nextGaussian()).toFloat
      scores.map(_ * loud)
    }
    seen.foreach(sketches.observe(0, 3, _, 5, null))
    val thresholds = sketches.distributions.thresholds(0.7)
    assert(thresholds.length === 1)
    val density = seen.flatMap(rows).map(_.count(_ > thresholds(0)(0)).toDouble / width)
    assert(math.abs(density.sum / density.size - 0.3) < 0.003)
    assert(sketches.distributions.positions === 1000)
    assert(math.abs(sketches.distributions.ownDensity(thresholds)(0)(0) - 0.3) < 0.002)
  }

  test("under shared each bucket's union has the wanted density") {
    val sketches = new ScoreSketches(new UnionStrategy.Shared, 8, 1, width)
    val seen = steps(60, 8)
    seen.foreach(sketches.observe(0, 3, _, 8, null))
    val thresholds = sketches.distributions.thresholds(0.6)
    assert(thresholds.length === 4)
    assert(thresholds.map(_(0)).toSeq === thresholds.map(_(0)).sorted.toSeq, "rising with the batch")
    for ((size, k) <- Seq(1, 2, 4, 8).zipWithIndex) {
      val t = thresholds(k)(0)
      val groups = seen.flatMap(rows(_).grouped(size))
      val union = groups.map(g => (0 until width).count(i => g.exists(_(i) > t))).sum
      val measured = union.toDouble / (groups.size * width)
      assert(math.abs(measured - 0.4) < 0.01, s"batch $size")
      assert(math.abs(sketches.distributions.unionDensity(thresholds)(k)(0) - measured) < 0.01)
      val own = seen.flatMap(rows).flatten.count(_ > t).toDouble / (seen.size * 8 * width)
      assert(math.abs(sketches.distributions.ownDensity(thresholds)(k)(0) - own) < 0.01)
    }
  }

  test("scores are scaled before they are ranked") {
    val scale = Array.tabulate(width)(i => if (i < 40) 10f else 0.1f)
    val sketches = new ScoreSketches(new UnionStrategy.Own, 1, 1, width)
    sketches.observe(0, 0, Array.fill(width)(-1f), 1, scale)
    assert(math.abs(sketches.distributions.ownDensity(sketches.distributions.thresholds(0.85))(0)(0) - 0.1) < 1e-3)
  }

  test("a bucket that never ran takes the threshold of the one below") {
    val sketches = new ScoreSketches(new UnionStrategy.Shared, 8, 1, width)
    steps(5, 2).foreach(sketches.observe(0, 1, _, 2, null))
    val thresholds = sketches.distributions.thresholds(0.6)
    assert(thresholds(3)(0) === thresholds(1)(0))
  }

  test("logits are compared with their sign, and the density of all positions together is as wanted") {
    val sketches = new ScoreSketches(new UnionStrategy.Shared, 4, 1, width, true, 0)
    // positions differ in how high all their logits are
    val seen = Seq.fill(80) {
      val levels = Seq.fill(4)(random.nextGaussian() - 1)
      levels.flatMap(level => Seq.fill(width)((level + random.nextGaussian()).toFloat)).toArray
    }
    seen.foreach(sketches.observe(0, 2, _, 4, null))
    val thresholds = sketches.distributions.thresholds(0.7)
    assert(thresholds(0)(0) < 0)
    for ((size, k) <- Seq(1, 2, 4).zipWithIndex) {
      val groups = seen.flatMap(_.toSeq.grouped(width).toSeq.grouped(size))
      val union = groups.map(g => (0 until width).count(i => g.exists(_(i) > thresholds(k)(0)))).sum
      assert(math.abs(union.toDouble / (groups.size * width) - 0.3) < 0.003, s"batch $size")
      assert(math.abs(sketches.distributions.unionDensity(thresholds)(k)(0) - 0.3) < 0.003)
    }
  }

  test("parts merge in any order to what the whole says, within the recorded error") {
    val seen = steps(1200, 4)
    def sketch(parts: Int): Seq[ScoreDistributions] =
      seen.grouped(seen.size / parts).map { part =>
        val sketches = new ScoreSketches(new UnionStrategy.Shared, 4, 1, width, false, 1)
        part.foreach(sketches.observe(0, 2, _, 4, null))
        copied(sketches.distributions)
      }.toSeq
    val whole = sketch(1).head
    val parts = sketch(12)
    val merged = ScoreDistributions.merged(
      parts.grouped(5).map(some => ScoreDistributions.merged(some.asJava)).toSeq.asJava)
    val backwards = ScoreDistributions.merged(parts.reverse.asJava)
    assert(backwards.thresholds(0.3).toSeq.map(_(0)) ===
      ScoreDistributions.merged(parts.asJava).thresholds(0.3).toSeq.map(_(0)))
    assert(merged.positions === whole.positions)
    assert((0 to 2).map(merged.groups) === (0 to 2).map(whole.groups))
    val scores = Seq(1, 2, 4).map(size =>
      seen.flatMap(rows(_).grouped(size).flatMap(_.transpose.map(_.max))).toArray.sorted)
    for (sparsity <- Seq(0.1, 0.5, 0.7, 0.95); found <- Seq(whole, merged, backwards)) {
      val thresholds = found.thresholds(sparsity)
      for (k <- 0 to 2) {
        val dropped = scores(k).count(_ <= thresholds(k)(0)).toDouble / scores(k).length
        assert(math.abs(dropped - sparsity) < ScoreDistributions.rankError, s"$sparsity, bucket $k")
        assert(math.abs(found.unionDensity(thresholds)(k)(0) - 1 + sparsity) < 0.0005)
      }
    }
  }

  test("the same scores give the same thresholds, whoever else sketches at the time") {
    val seen = steps(300, 2)
    def thresholds(seed: Long): Seq[Float] = {
      val sketches = new ScoreSketches(new UnionStrategy.Shared, 2, 1, width, false, seed)
      seen.foreach(sketches.observe(0, 1, _, 2, null))
      (1 to 99).map(percent => sketches.distributions.threshold(1, 0, percent / 100.0))
    }
    val alone = thresholds(7)
    val other = new Thread(() => thresholds(8))
    other.start()
    assert(thresholds(7) === alone)
    other.join()
    assert(thresholds(8) !== alone)
  }

  test("of wide layers some neurons are looked at, others at each position") {
    val wide = 2600
    val sketches = new ScoreSketches(new UnionStrategy.Own, 1, 1, wide)
    // neurons differ in how high their scores are
    val loud = Array.fill(wide)(math.exp(random.nextGaussian()).toFloat)
    val seen = Seq.fill(200)(loud.map(_ * random.nextGaussian().toFloat))
    seen.foreach(sketches.observe(0, 0, _, 1, null))
    val t = sketches.distributions.threshold(0, 0, 0.8)
    assert(math.abs(seen.map(_.count(math.abs(_) > t)).sum.toDouble / (200 * wide) - 0.2) < 0.006)
  }

  test("everything is above the threshold of sparsity 0") {
    for (signed <- Seq(false, true)) {
      val sketches = new ScoreSketches(new UnionStrategy.Own, 1, 1, width, signed, 0)
      sketches.observe(0, 0, Array.tabulate(width)(i => (i - 5).toFloat), 1, null)
      assert(sketches.distributions.threshold(0, 0, 0) < (if (signed) -5 else 0))
    }
  }

  test("the spread is the deviation of documents' own densities, whoever they ran with") {
    val sketches = new ScoreSketches(new UnionStrategy.Shared, 2, 1, width)
    val streams = Seq.tabulate(6)(i => new RandomStream(0, s"d$i"))
    val loudness = Seq(0.5f, 0.8f, 1f, 1f, 1.3f, 2f)
    val rows = for (pair <- Seq(0, 1, 2, 3, 4, 5).grouped(2).toSeq; _ <- 0 until 20) yield {
      val scores = pair.flatMap(d => Array.fill(width)(random.nextGaussian().toFloat * loudness(d))).toArray
      sketches.begin(pair.map(d => new DecodeSequence(0, 1, 1, streams(d), 0, 1)).asJava)
      sketches.observe(0, 1, scores, 2, null)
      pair.zip(scores.toSeq.grouped(width).toSeq)
    }
    val thresholds = sketches.distributions.thresholds(0.6)
    for (bucket <- 0 to 1) {
      val densities = rows.flatten.groupMap(_._1)(_._2).values.map { all =>
        all.flatten.count(math.abs(_) > thresholds(bucket)(0)).toDouble / (all.size * width)
      }
      val mean = densities.sum / 6
      val expected = math.sqrt(densities.map(d => (d - mean) * (d - mean)).sum / 5)
      assert(math.abs(sketches.distributions.ownSpread(thresholds)(bucket)(0) - expected) < 0.01)
    }
  }

  test("logits' spread is of those above a threshold below 0 too") {
    val sketches = new ScoreSketches(new UnionStrategy.Own, 1, 1, width, true, 0)
    val densities = for (level <- Seq(-1f, 0f, 0.5f)) yield {
      val scores = Array.fill(width)(random.nextGaussian().toFloat + level)
      val stream = new RandomStream(1, level.toString)
      sketches.begin(Seq(new DecodeSequence(0, 1, 1, stream, 0, 1)).asJava)
      sketches.observe(0, 0, scores, 1, null)
      scores
    }
    val thresholds = sketches.distributions.thresholds(0.3)
    assert(thresholds(0)(0) < 0)
    val own = densities.map(_.count(_ > thresholds(0)(0)).toDouble / width)
    val expected = math.sqrt(own.map(d => math.pow(d - own.sum / 3, 2)).sum / 2)
    assert(math.abs(sketches.distributions.ownSpread(thresholds)(0)(0) - expected) < 0.02)
  }

  test("without two documents there is no spread") {
    val sketches = new ScoreSketches(new UnionStrategy.Own, 1, 1, width)
    sketches.observe(0, 0, steps(1, 1).head, 1, null)
    assert(sketches.distributions.ownSpread(sketches.distributions.thresholds(0.6)) == null)
  }
}
