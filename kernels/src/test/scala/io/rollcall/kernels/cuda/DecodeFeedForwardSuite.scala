package io.rollcall.kernels.cuda

import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.kernels.{Activation, WeightType}
import io.rollcall.kernels.cuda.DecodeFeedForward.{Call, Layer, Rule, Scores}

class DecodeFeedForwardSuite extends AnyFunSuite with DeviceFixture {
  import DeviceFixture.tabulated

  /** f neurons with weights of their own, each as many times as that. */
  private case class Shape(d: Int, f: Int, batch: Int, rank: Int = 64, times: Int = 1)

  /** @param precision of its factors */
  private case class Predicting(precision: WeightType, folded: Boolean)
  private val linear = Predicting(WeightType.F16, folded = false)

  private val shapes = Seq(
    Shape(64, 64, 1), Shape(384, 1536, 1), Shape(384, 1536, 7), Shape(320, 448, 8), Shape(128, 960, 16),
    Shape(192, 1024, 30), Shape(320, 448, 64), Shape(512, 1536, 50, 128), Shape(256, 1536, 5), Shape(256, 960, 12),
    Shape(256, 1024, 30))

  /** One layer with random weights, run by a rule and by the formulas. */
  private class Step(shape: Shape, kind: WeightType, scores: Scores, own: Boolean, random: Random, predicting: Predicting = linear) {
    import shape._
    private val suite = DecodeFeedForwardSuite.this
    val gateUp = DeviceWeights.random(suite, random, kind, 2 * f, d, (2.0 / math.sqrt(d)).toFloat)
    val down = DeviceWeights.random(suite, random, kind, f, d, 0.1f)
    val a = DeviceWeights.random(suite, random, predicting.precision, rank, d, (1 / math.sqrt(d)).toFloat)
    private val bRows = if (predicting.folded) 2 else 1
    val b = DeviceWeights.random(suite, random, predicting.precision, bRows * f, rank, (1 / math.sqrt(rank)).toFloat)
    val x: Array[Float] = Array.fill(batch * d)(DeviceFixture.rounded(random.nextGaussian().toFloat))
    val scaled: Boolean = scores == Scores.BOTH
    val rowScale: Array[Float] = Array.fill(f)(if (scaled) 0.5f + random.nextFloat() else 1f)
    val active: Array[Boolean] = Array.tabulate(batch)(i => batch < 3 || i != 1)

    private def dot(w: DeviceWeights, row: Int, i: Int, in: Array[Float]): Double = {
      val n = w.matrix.columns
      var sum = 0.0
      var k = 0
      while (k < n) { sum += w.values(row * n + k).toDouble * in(i * n + k); k += 1 }
      sum
    }
    private def silu(v: Double) = v / (1 + math.exp(-v))
    /** [batch][f] */
    private def ofNeurons(value: (Int, Int) => Double) = tabulated(batch * f)(j => value(j / f, j % f)).grouped(f).toArray
    val gate: Array[Array[Double]] = ofNeurons((i, n) => silu(dot(gateUp, n, i, x)))
    val up: Array[Array[Double]] = ofNeurons((i, n) => dot(gateUp, f + n, i, x))
    private val hidden =
      tabulated(batch * rank)(j => dot(a, j % rank, j / rank, x)).map(h => DeviceFixture.rounded(h.toFloat))
    val score: Array[Array[Double]] = ofNeurons { (i, n) =>
      scores match {
        case Scores.GATE => gate(i)(n)
        case Scores.UP => up(i)(n)
        case Scores.BOTH => gate(i)(n) * up(i)(n)
        case _ => dot(b, n, i, hidden) + (if (predicting.folded) math.abs(dot(b, f + n, i, hidden)) else 0)
      }
    }
    def magnitude(i: Int, n: Int): Double =
      if (scores == Scores.PREDICTOR) score(i)(n) else math.abs(score(i)(n)) * rowScale(n)

    /** Thresholds that nothing comes near, so that rounding calls nobody else. */
    def thresholdAt(quantile: Double): Float = {
      val sorted = (for (i <- 0 until batch if active(i); n <- 0 until f) yield magnitude(i, n)).sorted
      val from = math.min(sorted.size - 2, (quantile * sorted.size).toInt)
      val window = from until math.min(sorted.size - 1, from + math.max(20, sorted.size / 20))
      val at = window.maxBy(j => sorted(j + 1) - sorted(j))
      ((sorted(at) + sorted(at + 1)) / 2).toFloat
    }

    /** @param before rows of the layer's union a step ago */
    def run(threshold: Float, mostRows: Int, denseFrom: Int, before: Int = 0): (Array[Float], Array[Int]) = {
      val products = new DecodeProducts(context, 2 * f * times, batch)
      val feedForward = new DecodeFeedForward(context, products, d, f * times, Activation.SILU, batch)
      val host = java.nio.ByteBuffer.allocateDirect(StepState.BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN)
      val state = new StepState(host, 0)
      state.clear()
      active.zipWithIndex.foreach { case (on, i) => if (on) state.set(i, 0, 0, 0, i, 0, 1) }
      state.begin()
      val bytes = new Array[Byte](StepState.BYTES)
      host.get(0, bytes)
      val layers = 3
      val index = 1
      val thresholds = Array.fill(7 * layers)(Float.NaN)
      thresholds(state.bucket * layers + index) = threshold
      val rule =
        if (scores == Scores.NONE) Rule.dense()
        else new Rule(scores, own, mostRows, upload(thresholds), uploadInts(Array.fill(7)(denseFrom)))
      val splits = feedForward.splits(batch)
      val y = zeros(4L * splits * batch * d)
      val stepRecords = layers * StepState.RECORD_STRIDE
      val recordOfBefore = Array.fill(2 * stepRecords)(0)
      recordOfBefore(index * StepState.RECORD_STRIDE) = before
      val records = uploadInts(recordOfBefore).slice(4L * stepRecords, 4L * stepRecords)
      val layer = new Layer(
        gateUp.repeated(suite, 2, times), down.repeated(suite, 1, times), if (scaled) upload(Array.fill(times)(rowScale).flatten) else null,
        a.matrix, b.repeated(suite, bRows, times))
      feedForward.step(stream, new Call(layer, index, layers, rule, uploadF16(x), batch, uploadBytes(bytes), records, y))
      stream.synchronize()
      val sums = floats(y, splits * batch * d).grouped(batch * d).reduce((p, q) => p.zip(q).map(v => v._1 + v._2))
      val record = ints(records, stepRecords)
      feedForward.close()
      products.close()
      (sums, record.slice(index * StepState.RECORD_STRIDE, (index + 1) * StepState.RECORD_STRIDE))
    }

    def calls(i: Int, n: Int, threshold: Float): Boolean = active(i) && magnitude(i, n) > threshold

    def union(threshold: Float): Seq[Int] = (0 until f).filter(n => (0 until batch).exists(calls(_, n, threshold)))

    def output(rows: Seq[Int], threshold: Float): Array[Float] = {
      // [batch][f] coefficients of the rows in use
      val used = Array.ofDim[Double](batch, f)
      for (i <- 0 until batch if active(i); n <- rows if !own || calls(i, n, threshold)) used(i)(n) = gate(i)(n) * up(i)(n)
      tabulated(batch * d) { j =>
        val (i, c) = (j / d, j % d)
        val s = used(i)
        var sum = 0.0
        var n = 0
        while (n < f) { if (s(n) != 0) sum += s(n) * down.values(n * d + c); n += 1 }
        sum * times
      }.map(_.toFloat)
    }

    /** Squared magnitude; of a predictor's logit, square of how far it is above the threshold. */
    private def square(i: Int, n: Int, threshold: Float): Double =
      if (scores == Scores.PREDICTOR) math.pow(math.max(0, score(i)(n) - threshold), 2) else math.pow(magnitude(i, n), 2)
    def energy(n: Int, threshold: Float): Double =
      (0 until batch).filter(active).map(i => square(i, n, threshold) / (0 until f).map(square(i, _, threshold)).sum).sum

    /** Whether rounding flips none of a sequence's calls: one coefficient can be most of its output. */
    private def sure(i: Int, threshold: Float) = {
      val margin = if (predicting.precision == WeightType.F16) 2e-4 else 4e-4
      (0 until f).forall(n => math.abs(magnitude(i, n) - threshold) > margin)
    }

    /** A call that rounding flips is a small error everywhere; a wrong index is a large one somewhere. */
    def check(actual: Array[Float], expected: Array[Float], threshold: Float = 0): Unit = {
      val checked = (0 until batch).filter(i => active(i) && (!own || scores != Scores.PREDICTOR || sure(i, threshold))).toSet
      assert(checked.size * 3 > active.count(identity[Boolean]), s"sequences of $shape without a score near the threshold")
      val live = actual.indices.filter(j => checked(j / d)).toArray
      def rms(values: Array[Double]) = math.sqrt(values.map(v => v * v).sum / math.max(1, values.length))
      val scale = rms(live.map(expected(_).toDouble)) + 1e-6
      val errors = live.map(j => actual(j).toDouble - expected(j))
      assert(rms(errors) <= (if (kind == WeightType.F16) 0.05 else 0.15) * scale, s"of $shape")
      assert(errors.map(math.abs).max <= 1.0 * scale, s"of $shape")
    }
  }

  /** The union, who called it and what follows, with a threshold at that quantile of the scores. */
  private def assertSparse(step: Step, shape: Shape, quantile: Double): Unit = {
    val threshold = step.thresholdAt(quantile)
    val union = step.union(threshold)
    val output = step.output(union, threshold)
    // a budget, even one that nothing is too much for, takes other kernels
    for (mostRows <- Seq(Int.MaxValue, shape.f - 1) if union.size <= mostRows) {
      val (y, record) = step.run(threshold, mostRows, shape.f + 1)
      val near = math.max(1, shape.f / 100)
      assert(math.abs(record(0) - union.size) <= near, s"union of $shape at $quantile")
      assert(record(1) == 0)
      for (i <- 0 until shape.batch) {
        val want = (0 until shape.f).count(step.calls(i, _, threshold))
        assert(math.abs(record(2 + i) - want) <= near, s"called by $i of $shape at $quantile")
      }
      step.check(y, output, threshold)
    }
  }

  for (kind <- Seq(WeightType.F16, WeightType.INT8, WeightType.INT4)) {
    test(s"a dense step with $kind weights is the gated MLP") {
      onDevice {
        val random = new Random(4)
        for (shape <- shapes) {
          val step = new Step(shape, kind, Scores.NONE, false, random)
          val (y, _) = step.run(0, Int.MaxValue, 0)
          step.check(y, step.output(0 until shape.f, 0))
        }
      }
    }

    test(s"rows of $kind weights go round a block's ring more than once") {
      onDevice {
        val random = new Random(9)
        for (batch <- Seq(3, 20)) {
          val step = new Step(Shape(256, 16384, batch), kind, Scores.NONE, false, random)
          val (y, _) = step.run(0, Int.MaxValue, 0)
          step.check(y, step.output(0 until 16384, 0))
        }
      }
    }

    for (scores <- Seq(Scores.GATE, Scores.UP, Scores.BOTH, Scores.PREDICTOR); own <- Seq(false, true)) {
      test(s"scores of $scores with $kind weights call, count and sum the rows of the ${if (own) "own" else "shared"} union") {
        onDevice {
          val random = new Random(5)
          for (shape <- shapes; step = new Step(shape, kind, scores, own, random); quantile <- Seq(0.5, 0.9, 0.99))
            assertSparse(step, shape, quantile)
        }
      }
    }
  }

  test("steps of drawn shapes, weights, scores and unions are right, dense and sparse (another draw: -Drollcall.seed)") {
    onDevice {
      val random = DeviceFixture.drawing
      def one[A](of: A*): A = of(random.nextInt(of.size))
      for (_ <- 0 until 16) {
        val shape = Shape(64 * (1 + random.nextInt(16)), 64 * (2 + random.nextInt(30)), 1 + random.nextInt(64), 64 * (1 + random.nextInt(3)))
        val kind = one(WeightType.F16, WeightType.INT8, WeightType.INT4)
        val dense = new Step(shape, kind, Scores.NONE, false, random)
        dense.check(dense.run(0, Int.MaxValue, 0)._1, dense.output(0 until shape.f, 0))
        val scores = one(Scores.GATE, Scores.UP, Scores.BOTH, Scores.PREDICTOR)
        assertSparse(new Step(shape, kind, scores, random.nextBoolean(), random), shape, 0.5 + 0.4 * random.nextDouble())
      }
    }
  }

  for (precision <- Seq(WeightType.F16, WeightType.INT8, WeightType.INT4); folded <- Seq(false, true))
    test(s"${if (folded) "folded" else "linear"} $precision predictors call, count and sum what they predict") {
      onDevice {
        val random = new Random(11)
        for (shape <- shapes ++ Seq(Shape(4096, 160, 24, 128, times = 44), Shape(4096, 160, 13, 640, times = 44)); own <- Seq(false, true) if own || shape.times == 1; kind <- Seq(WeightType.F16, WeightType.INT4)) {
          val step = new Step(shape, kind, Scores.PREDICTOR, own, random, Predicting(precision, folded))
          val threshold = step.thresholdAt(0.8)
          val union = step.union(threshold)
          val output = step.output(union, threshold)
          val (y, record) = step.run(threshold, Int.MaxValue, shape.f * shape.times + 1)
          val near = shape.times * math.max(1, shape.f / 100)
          assert(math.abs(record(0) - union.size * shape.times) <= near, s"union of $shape")
          for (i <- 0 until shape.batch) {
            val want = shape.times * (0 until shape.f).count(step.calls(i, _, threshold))
            assert(math.abs(record(2 + i) - want) <= near, s"called by $i of $shape")
          }
          step.check(y, output, threshold)
          assert(step.run(threshold, Int.MaxValue, 1, before = 1)._2(1) == 1, s"past the crossover of $shape")
        }
      }
    }

  for (kind <- Seq(WeightType.F16, WeightType.INT8, WeightType.INT4)) {
    test(s"steps with $kind weights of a model's width are right, dense and sparse, where blocks share the columns") {
      onDevice {
        val random = new Random(10)
        for (batch <- Seq(24, 61); (scores, own) <- Seq((Scores.NONE, false), (Scores.GATE, false), (Scores.UP, true), (Scores.PREDICTOR, true))) {
          val shape = Shape(4096, 160, batch, 640, times = 44)
          val step = new Step(shape, kind, scores, own, random)
          if (scores == Scores.NONE) {
            step.check(step.run(0, Int.MaxValue, 0)._1, step.output(0 until shape.f, 0))
          } else {
            for (quantile <- Seq(0.5, 0.98, 0.999); threshold = step.thresholdAt(quantile); union = step.union(threshold); mostRows <- Seq(Int.MaxValue, shape.f * shape.times - 1)) {
              val (y, record) = step.run(threshold, mostRows, shape.f * shape.times + 1)
              val near = 2 * shape.times
              assert(math.abs(record(0) - union.size * shape.times) <= near, s"union of $shape at $quantile")
              for (i <- 0 until batch) {
                val want = (0 until shape.f).count(step.calls(i, _, threshold)) * shape.times
                assert(math.abs(record(2 + i) - want) <= near, s"called by $i of $shape at $quantile")
              }
              step.check(y, step.output(union, threshold), threshold)
            }
          }
        }
      }
    }
  }

  test("a union past the crossover runs dense and says so") {
    onDevice {
      val random = new Random(6)
      for (shape <- shapes :+ Shape(4096, 160, 61, 640, times = 44); scores <- Seq(Scores.GATE, Scores.UP, Scores.BOTH, Scores.PREDICTOR);
           kind <- Seq(WeightType.F16, WeightType.INT8); own <- Seq(false, true)) {
        val step = new Step(shape, kind, scores, own, random)
        val threshold = step.thresholdAt(0.9)
        val output = step.output(0 until shape.f, threshold)
        // where calls and products are one kernel, the step before decides
        for (mostRows <- Seq(Int.MaxValue, shape.f * shape.times - 1)) {
          val (y, record) = step.run(threshold, mostRows, 1, before = 1)
          assert(record(1) == 1, s"of $shape")
          val near = shape.times * math.max(2, shape.f / 100)
          assert(math.abs(record(0) - shape.times * step.union(threshold).size) <= near, s"of $shape")
          for (i <- 0 until shape.batch) {
            val want = shape.times * (0 until shape.f).count(step.calls(i, _, threshold))
            assert(math.abs(record(2 + i) - want) <= near, s"called by $i of $shape")
          }
          step.check(y, output, threshold)
        }
      }
    }
  }

  test("nobody's call is an empty union and a zero output") {
    onDevice {
      val random = new Random(7)
      for (shape <- shapes; scores <- Seq(Scores.GATE, Scores.UP, Scores.BOTH, Scores.PREDICTOR)) {
        val step = new Step(shape, WeightType.F16, scores, false, random)
        val (y, record) = step.run(1e30f, Int.MaxValue, shape.f + 1)
        assert(record.forall(_ == 0))
        assert(y.forall(_ == 0))
      }
    }
  }

  test("steps that follow each other at once sum their own unions") {
    onDevice {
      val random = new Random(12)
      val (d, f, rank, steps) = (256, 4096, 64, 12)
      for (batch <- Seq(1, 16, 24, 61); (scores, mostRows) <- Seq((Scores.UP, f), (Scores.UP, f - 1), (Scores.PREDICTOR, f))) {
        val gateUp = DeviceWeights.random(this, random, WeightType.F16, 2 * f, d, (2.0 / math.sqrt(d)).toFloat)
        val down = DeviceWeights.random(this, random, WeightType.F16, f, d, 0.1f)
        val a = DeviceWeights.random(this, random, WeightType.F16, rank, d, (1 / math.sqrt(d)).toFloat)
        val b = DeviceWeights.random(this, random, WeightType.F16, f, rank, (1 / math.sqrt(rank)).toFloat)
        val layer = new Layer(gateUp.matrix, down.matrix, null, a.matrix, b.matrix)
        val inputs = Array.fill(3)(uploadF16(Array.fill(batch * d)(random.nextGaussian().toFloat)))
        val products = new DecodeProducts(context, 2 * f, batch)
        val feedForward = new DecodeFeedForward(context, products, d, f, Activation.SILU, batch)
        val host = java.nio.ByteBuffer.allocateDirect(StepState.BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN)
        val state = new StepState(host, 0)
        state.clear()
        for (i <- 0 until batch) state.set(i, 0, 0, 0, i, 0, 1)
        state.begin()
        val bytes = new Array[Byte](StepState.BYTES)
        host.get(0, bytes)
        val onDevice = uploadBytes(bytes)
        // of scores of deviation 2, and of logits of deviation 1
        val threshold = if (scores == Scores.UP) 5f else 2.5f
        val rule = new Rule(scores, false, mostRows, upload(Array.fill(7)(threshold)), uploadInts(Array.fill(7)(f + 1)))
        val splits = feedForward.splits(batch)
        def run(inputs: Seq[DeviceBuffer]): Seq[(Array[Float], Int)] = {
          val results = inputs.map(_ => (zeros(4L * splits * batch * d), zeros(8L * StepState.RECORD_STRIDE)))
          for ((x, (y, records)) <- inputs.zip(results)) {
            val record = records.slice(4L * StepState.RECORD_STRIDE, 4L * StepState.RECORD_STRIDE)
            feedForward.step(stream, new Call(layer, 0, 1, rule, x, batch, onDevice, record, y))
          }
          stream.synchronize()
          results.map { case (y, records) =>
            (floats(y, splits * batch * d), ints(records, 2 * StepState.RECORD_STRIDE)(StepState.RECORD_STRIDE))
          }
        }
        val alone = inputs.map(x => run(Seq(x)).head)
        assert(alone.forall(one => one._2 > 0 && one._2 < f - 1), s"unions of $batch by $scores")
        assert(alone.map(_._1.toSeq).distinct.size == inputs.length)
        for (((y, union), i) <- run(Seq.tabulate(steps)(i => inputs(i % inputs.length))).zipWithIndex) {
          assert(union == alone(i % inputs.length)._2, s"step $i of $batch by $scores")
          assert(y.sameElements(alone(i % inputs.length)._1), s"step $i of $batch by $scores")
        }
        feedForward.close()
        products.close()
      }
    }
  }

  test("a budget keeps the rows with the largest batch energy") {
    onDevice {
      val random = new Random(8)
      for (shape <- shapes if shape.f > 64; scores <- Seq(Scores.UP, Scores.PREDICTOR)) {
        val step = new Step(shape, WeightType.F16, scores, false, random)
        val threshold = step.thresholdAt(0.3)
        val union = step.union(threshold)
        val most = union.size / 2
        val energies = union.map(n => n -> step.energy(n, threshold)).toMap
        val kept = union.sortBy(n => -energies(n)).take(most).sorted
        val (y, record) = step.run(threshold, most, shape.f + 1)
        assert(record(0) == most)
        step.check(y, step.output(kept, threshold))
      }
    }
  }
}
