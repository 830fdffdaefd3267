package io.rollcall.engine.recovery

import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.algebra.Products
import io.rollcall.engine.sparsity.{Bf16, Correction}
import io.rollcall.kernels.WorkerPool
import io.rollcall.kernels.cpu.CpuKernels

class CorrectionFitSuite extends AnyFunSuite {
  private val d = 12

  private case class Position(bucket: Int, x: Array[Float], e: Array[Float], weight: Double = 1)

  /** Errors of a hidden map of rank 2 and a mean for each bucket, with noise. */
  private def positions(seed: Int, n: Int, noise: Double, buckets: Int = 2): Seq[Position] = {
    val teacher = new Random(1)
    val v = Array.fill(2, d)(teacher.nextGaussian() / math.sqrt(d))
    val u = Array.fill(d, 2)(teacher.nextGaussian())
    val means = Array.fill(buckets, d)(teacher.nextGaussian())
    val random = new Random(seed)
    Seq.tabulate(n) { i =>
      val k = if (i % 4 == 0) 0 else buckets - 1
      val x = Array.fill(d)((1 + k + random.nextGaussian()).toFloat)
      val z = v.map(row => row.indices.map(j => row(j) * x(j)).sum)
      val e = Array.tabulate(d)(j =>
        (means(k)(j) + u(j)(0) * z(0) + u(j)(1) * z(1) + noise * random.nextGaussian()).toFloat)
      Position(k, x, e)
    }
  }

  private def moments(of: Seq[Position], buckets: Int = 2): ErrorMoments = {
    val pool = new WorkerPool(1)
    try {
      val all = new ErrorMoments(d, buckets, true)
      val buffer = new MomentBuffer(all, new Products(CpuKernels.create(pool)))
      of.foreach(p => buffer.add(p.bucket, p.weight, p.x, p.e, 0))
      buffer.flush()
      all
    } finally pool.close()
  }

  private def corrected(c: Correction, p: Position): Array[Double] = {
    val bias = c.bias(p.bucket)
    val z = Array.tabulate(c.rank)(r => (0 until d).map(i => Bf16.value(c.down()(r * d + i)) * p.x(i)).sum)
    Array.tabulate(d)(i => bias(i) + (0 until c.rank).map(r => Bf16.value(c.up()(i * c.rank + r)) * z(r)).sum.toDouble)
  }

  private def left(c: Correction, of: Seq[Position]): Double = {
    val after = of.map(p => p.e.zip(corrected(c, p)).map { case (e, f) => (e - f) * (e - f) }.sum).sum
    after / of.map(_.e.map(e => e * e).sum).sum
  }

  private val training = positions(2, 1500, noise = 0.1)
  private val heldOut = positions(3, 300, noise = 0.1)
  private val statistics = new CorrectionStatistics(moments(training), moments(heldOut))

  test("a map of the errors' own rank leaves the noise, one of lower rank more, means most") {
    val fitted = Seq(0, 1, 2).map(CorrectionFit.fit(statistics, _))
    assert(fitted.map(_.correction.rank) === Seq(0, 1, 2))
    val signal = heldOut.map(_.e.map(e => e.toDouble * e).sum).sum / heldOut.size / d
    assert(fitted(2).remaining < 2 * 0.01 / signal)
    assert(fitted(1).remaining > 3 * fitted(2).remaining)
    assert(fitted(0).remaining > 1.2 * fitted(1).remaining)
  }

  test("the error said to be left is what the correction leaves at held-out positions") {
    for (rank <- Seq(0, 1, 2, 5)) {
      val fitted = CorrectionFit.fit(statistics, rank)
      assert(math.abs(fitted.remaining - left(fitted.correction, heldOut)) < 2e-3, rank)
    }
  }

  test("a map of full rank is a direct least squares' solution") {
    // normal equations in doubles, by elimination, for inputs and errors less their buckets' means
    def centred(of: Position => Array[Float]): Seq[Array[Double]] = {
      val means = training.groupBy(_.bucket).map { case (k, ps) =>
        k -> Array.tabulate(d)(i => ps.map(of(_)(i).toDouble).sum / ps.size)
      }
      training.map(p => Array.tabulate(d)(i => of(p)(i) - means(p.bucket)(i)))
    }
    val (x, e) = (centred(_.x), centred(_.e))
    val augmented = Array.tabulate(d)(i =>
      Array.tabulate(2 * d)(j =>
        if (j < d) x.map(row => row(i) * row(j)).sum
        else x.zip(e).map { case (a, b) => a(i) * b(j - d) }.sum))
    for (i <- 0 until d; j <- 0 until d if j != i) {
      val factor = augmented(j)(i) / augmented(i)(i)
      for (k <- 0 until 2 * d) augmented(j)(k) -= factor * augmented(i)(k)
    }
    val direct = Array.tabulate(d, d)((i, j) => augmented(i)(d + j) / augmented(i)(i))
    val c = CorrectionFit.fit(statistics, d).correction
    for (i <- 0 until d; j <- 0 until d) {
      val fitted = (0 until c.rank).map(r =>
        Bf16.value(c.down()(r * d + i)) * Bf16.value(c.up()(j * c.rank + r))).sum
      assert(math.abs(fitted - direct(i)(j)) < 0.02, s"$i, $j: bf16 rounds it")
    }
  }

  test("statistics of parts add up to those of the whole") {
    val parts = training.grouped(400).map(moments(_)).toSeq.reduce(_ plus _)
    val (a, b) = (moments(training), parts)
    assert(a.count === b.count && a.count(0) === b.count(0))
    for (k <- 0 to 1; i <- 0 until d) {
      assert(math.abs(a.errors(k)(i) - b.errors(k)(i)) < 1e-6)
      assert(math.abs(a.squares(k) - b.squares(k)) < 1e-6)
    }
    for (i <- 0 until d * d) assert(math.abs(a.cross()(i) - b.cross()(i)) < 1e-2)
  }

  test("a map that held-out positions gain nothing from is left out") {
    val random = new Random(9)
    def noise(n: Int) = moments(Seq.fill(n)(
      Position(1, Array.fill(d)(random.nextGaussian().toFloat), Array.fill(d)(random.nextGaussian().toFloat))))
    val fitted = CorrectionFit.fit(new CorrectionStatistics(noise(40), noise(400)), 6)
    assert(fitted.correction.rank === 0)
  }

  test("a bucket with few positions is drawn to the mean of all, one with none gets it") {
    val of = moments(training.filter(_.bucket == 1), buckets = 3)
    val c = CorrectionFit.fit(new CorrectionStatistics(of, moments(heldOut, 3)), 0).correction
    assert(c.bias(0) sameElements c.bias(2))
    for (i <- 0 until d) assert(math.abs(c.bias(1)(i) - c.bias(0)(i)) < 0.02 * (1 + math.abs(c.bias(0)(i))))
    intercept[IllegalArgumentException](
      CorrectionFit.fit(CorrectionStatistics.none(d, 2, true), 0))
  }
}
