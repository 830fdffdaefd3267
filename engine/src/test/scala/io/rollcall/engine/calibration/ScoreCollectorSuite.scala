package io.rollcall.engine.calibration

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.runner.DecodeSequence
import io.rollcall.engine.sampling.RandomStream
import io.rollcall.engine.sparsity.UnionStrategy

class ScoreCollectorSuite extends AnyFunSuite {
  private val width = 400
  private val random = new Random(3)

  private def steps(count: Int, batch: Int): Seq[Array[Float]] =
    Seq.fill(count)(Array.fill(batch * width)(random.nextGaussian().toFloat))

  private def rows(scores: Array[Float]): Seq[Seq[Float]] =
    scores.toSeq.grouped(width).map(_.map(math.abs)).toSeq

  test("under own the threshold is the mean of each sequence's quantile, for every bucket") {
    val collector = new ScoreCollector(new UnionStrategy.Own, Array(0.7), 8, 1, width)
    val seen = steps(20, 5)
    seen.foreach(collector.observe(0, 3, _, 5, null))
    val thresholds = collector.thresholds
    assert(thresholds.length === 1)
    val position = 0.7 * (width - 1)
    val expected = seen.flatMap(rows).map { row =>
      val sorted = row.sorted
      sorted(position.toInt) + (position - position.toInt) * (sorted(position.toInt + 1) - sorted(position.toInt))
    }
    assert(math.abs(thresholds(0)(0) - expected.sum / expected.size) < 1e-5)
    assert(collector.positions === 100)
    assert(math.abs(collector.ownDensity(thresholds)(0)(0) - 0.3) < 0.01)
  }

  test("under shared each bucket's union has the wanted density") {
    val collector = new ScoreCollector(new UnionStrategy.Shared, Array(0.6), 8, 1, width)
    val seen = steps(60, 8)
    seen.foreach(collector.observe(0, 3, _, 8, null))
    val thresholds = collector.thresholds
    assert(thresholds.length === 4)
    assert(thresholds.map(_(0)).toSeq === thresholds.map(_(0)).sorted.toSeq, "rising with the batch")
    for ((size, k) <- Seq(1, 2, 4, 8).zipWithIndex) {
      val t = thresholds(k)(0)
      val groups = seen.flatMap(rows(_).grouped(size))
      val union = groups.map(g => (0 until width).count(i => g.exists(_(i) > t))).sum
      val measured = union.toDouble / (groups.size * width)
      assert(math.abs(measured - 0.4) < 0.01, s"batch $size")
      assert(math.abs(collector.unionDensity(thresholds)(k)(0) - measured) < 0.01)
      val own = seen.flatMap(rows).flatten.count(_ > t).toDouble / (seen.size * 8 * width)
      assert(math.abs(collector.ownDensity(thresholds)(k)(0) - own) < 0.01)
    }
  }

  test("scores are scaled before they are ranked") {
    val scale = Array.tabulate(width)(i => if (i < 40) 10f else 0.1f)
    val collector = new ScoreCollector(new UnionStrategy.Own, Array(0.9), 1, 1, width)
    collector.observe(0, 0, Array.fill(width)(-1f), 1, scale)
    assert(collector.thresholds()(0)(0) > 0.1f)
  }

  test("a bucket that never ran takes the threshold of the one below") {
    val collector = new ScoreCollector(new UnionStrategy.Shared, Array(0.6), 8, 1, width)
    steps(5, 2).foreach(collector.observe(0, 1, _, 2, null))
    val thresholds = collector.thresholds
    assert(thresholds(3)(0) === thresholds(1)(0))
  }

  test("logits are compared with their sign, and the density of all positions together is as wanted") {
    val collector = new ScoreCollector(new UnionStrategy.Shared, Array(0.7), 4, 1, width, true)
    // positions differ in how high all their logits are
    val seen = Seq.fill(80) {
      val levels = Seq.fill(4)(random.nextGaussian() - 1)
      levels.flatMap(level => Seq.fill(width)((level + random.nextGaussian()).toFloat)).toArray
    }
    seen.foreach(collector.observe(0, 2, _, 4, null))
    val thresholds = collector.thresholds
    assert(thresholds(0)(0) < 0)
    for ((size, k) <- Seq(1, 2, 4).zipWithIndex) {
      val groups = seen.flatMap(_.toSeq.grouped(width).toSeq.grouped(size))
      val union = groups.map(g => (0 until width).count(i => g.exists(_(i) > thresholds(k)(0)))).sum
      assert(math.abs(union.toDouble / (groups.size * width) - 0.3) < 0.003, s"batch $size")
      assert(math.abs(collector.unionDensity(thresholds)(k)(0) - 0.3) < 0.003)
    }
  }

  test("a histogram's quantile is where the fraction above it says") {
    val values = Array.fill(5000)((random.nextGaussian() * math.exp(3 * random.nextGaussian())).toFloat)
    val histogram = new ScoreHistogram
    histogram.add(values, values.length)
    val sorted = values.sorted
    for (q <- Seq(0.01, 0.2, 0.5, 0.77, 0.999)) {
      val found = histogram.quantile(q)
      assert(math.abs(sorted.count(_ < found) - q * 5000) < 25, q)
      assert(math.abs(histogram.above(found) - (1 - q)) < 1e-3, q)
    }
  }

  test("the spread is the deviation of documents' own densities, whoever they ran with") {
    val collector = new ScoreCollector(new UnionStrategy.Shared, Array(0.6), 2, 1, width)
    val streams = Seq.tabulate(6)(i => new RandomStream(0, s"d$i"))
    val loudness = Seq(0.5f, 0.8f, 1f, 1f, 1.3f, 2f)
    val rows = Seq.fill(20)(for (pair <- Seq(0, 1, 2, 3, 4, 5).grouped(2)) yield {
      val scores = pair.flatMap(d => Array.fill(width)(random.nextGaussian().toFloat * loudness(d))).toArray
      collector.begin(pair.map(d => new DecodeSequence(0, 1, 1, streams(d), 0, 1)).asJava)
      collector.observe(0, 1, scores, 2, null)
      pair.zip(scores.toSeq.grouped(width).toSeq)
    }).flatten.flatten
    val thresholds = collector.thresholds
    for (bucket <- 0 to 1) {
      val densities = rows.groupMap(_._1)(_._2).values.map { all =>
        all.flatten.count(math.abs(_) > thresholds(bucket)(0)).toDouble / (all.size * width)
      }
      val mean = densities.sum / 6
      val expected = math.sqrt(densities.map(d => (d - mean) * (d - mean)).sum / 5)
      assert(math.abs(collector.ownSpread(thresholds)(bucket)(0) - expected) < 0.01)
    }
  }

  test("logits' spread is of those above a threshold below 0 too") {
    val collector = new ScoreCollector(new UnionStrategy.Own, Array(0.3), 1, 1, width, true)
    val densities = for (level <- Seq(-1f, 0f, 0.5f)) yield {
      val scores = Array.fill(width)(random.nextGaussian().toFloat + level)
      val stream = new RandomStream(1, level.toString)
      collector.begin(Seq(new DecodeSequence(0, 1, 1, stream, 0, 1)).asJava)
      collector.observe(0, 0, scores, 1, null)
      scores
    }
    val thresholds = collector.thresholds
    assert(thresholds(0)(0) < 0)
    val own = densities.map(_.count(_ > thresholds(0)(0)).toDouble / width)
    val expected = math.sqrt(own.map(d => math.pow(d - own.sum / 3, 2)).sum / 2)
    assert(math.abs(collector.ownSpread(thresholds)(0)(0) - expected) < 0.02)
  }

  test("without two documents there is no spread") {
    val collector = new ScoreCollector(new UnionStrategy.Own, Array(0.6), 1, 1, width)
    collector.observe(0, 0, steps(1, 1).head, 1, null)
    assert(collector.ownSpread(collector.thresholds) == null)
  }
}
