package io.rollcall.kernels.cuda

import scala.util.Random

import io.rollcall.kernels.Fixtures
import org.scalatest.funsuite.AnyFunSuite

class SamplingSuite extends AnyFunSuite with DeviceFixture {
  private val vocabularies = Seq(1, 50, 4096, 4097, 8192, 50257, 128256)

  private def mix(value: Long): Long = {
    var z = value
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL
    z ^ (z >>> 31)
  }

  private def uniform(key: Long, index: Int): Float =
    (mix(key + (index + 1) * 0x9E3779B97F4A7C15L) >>> 40) * (1f / (1 << 24))

  private def greedy(logits: Array[Float]): Int = logits.indexOf(logits.max)

  private def drawn(logits: Array[Float], temperature: Double, topP: Double, u: Float): Int = {
    val largest = logits.max
    val weights = logits.map(l => math.exp((l - largest) / temperature).toFloat)
    val total = weights.foldLeft(0.0)(_ + _)
    val ranked =
      if (topP == 1) weights.indices.filter(weights(_) > 0)
      else {
        val order = weights.indices.sortBy(t => (-weights(t), t))
        val sums = order.scanLeft(0.0)((sum, t) => sum + weights(t)).tail
        order.take(1 + sums.indexWhere(_ >= topP * total))
      }
    val sums = ranked.scanLeft(0.0)((sum, t) => sum + weights(t)).tail
    val target = u * (if (topP == 1) total else sums.last)
    val first = sums.indexWhere(_ > target)
    ranked(if (first < 0) ranked.size - 1 else first)
  }

  /** Gaussian logits; some rows in few values only, so that weights tie. */
  private def logits(random: Random, row: Int, vocabulary: Int): Array[Float] = {
    val values = Fixtures.floats(random, vocabulary)
    row % 4 match {
      case 0 => values.map(_ * 3)
      case 1 => values.map(v => math.rint(v * 2).toFloat)
      case 2 => values.map(_ * 40)
      case _ => values.map(_ * 0.01f)
    }
  }

  private def check(temperature: Double, topP: Double): Unit = onDevice {
    val random = new Random((temperature * 100 + topP * 10).toInt)
    for (vocabulary <- vocabularies; rows <- Seq(1, 4, 64) if rows * vocabulary < 3000000) {
      val active = Array.fill(rows)(random.nextInt(5) > 0)
      active(0) = true
      val keys = Array.fill(rows)(random.nextLong())
      val sampling = new Sampling(context, stream, vocabulary, temperature, topP)
      try {
        val state = States.upload(this) { state =>
          for (b <- 0 until rows if active(b)) state.set(b, keys(b), 0, 100 + b, b, b, 1000)
        }
        val steps = 3
        val tokens = uploadInts(Array.fill(steps * StepState.MAX_BATCH)(-2))
        for (step <- 0 until steps) {
          val values = Array.tabulate(rows)(logits(random, _, vocabulary))
          sampling.choose(stream, upload(values.flatten), state, rows)
          sampling.advance(stream, state, null, 0, tokens)
          stream.synchronize()
          val chosen = ints(tokens, steps * StepState.MAX_BATCH).drop(step * StepState.MAX_BATCH)
          for (b <- 0 until StepState.MAX_BATCH)
            withClue(s"vocabulary $vocabulary, $rows rows, step $step, row $b: ") {
              if (b >= rows || !active(b)) assert(chosen(b) == -1)
              else if (temperature == 0) assert(chosen(b) == greedy(values(b)))
              else assert(chosen(b) == drawn(values(b), temperature, topP, uniform(keys(b), b + step)))
            }
        }
        val after = States.download(this, state)
        assert(after.step == 0 && after.batch == active.count(identity))
        for (b <- 0 until rows if active(b)) {
          assert(after.position(b) == 100 + b + steps && after.outputIndex(b) == b + steps)
          assert(after.remaining(b) == 1000 - steps)
        }
      } finally sampling.close()
      afterEach()
    }
  }

  test("greedy takes the lowest of the largest")(check(0, 1))

  for ((temperature, topP) <- Seq((1.0, 1.0), (0.7, 1.0), (1.0, 0.9), (0.7, 0.5), (1.3, 0.999), (0.2, 0.01)))
    test(s"temperature $temperature and top-p $topP draw what the CPU's sampler draws")(check(temperature, topP))

  test("a sequence ends at an end token or its last token, and the batch is counted again") {
    onDevice {
      val sampling = new Sampling(context, stream, 100, 0, 1)
      try {
        val state = States.upload(this) { state =>
          for (b <- 0 until 6) state.set(b, 0, 1, 10, b, 0, if (b == 3) 1 else 5)
        }
        val values = Array.tabulate(6)(b => Array.tabulate(100)(t => if (t == 10 * b) 1f else 0f))
        val tokens = uploadInts(new Array[Int](3 * StepState.MAX_BATCH))
        val ends = uploadInts(Array(99, 50))
        for (_ <- 0 until 2) {
          sampling.choose(stream, upload(values.flatten), state, 6)
          sampling.advance(stream, state, ends, 2, tokens)
        }
        stream.synchronize()
        val written = ints(tokens, 2 * StepState.MAX_BATCH).grouped(StepState.MAX_BATCH).map(_.take(7).toSeq).toSeq
        assert(written == Seq(Seq(0, 10, 20, 30, 40, 50, -1), Seq(0, 10, 20, -1, 40, -1, -1)))
        val after = States.download(this, state)
        assert((after.step, after.batch, after.bucket) == (2, 4, 2))
        assert((0 until 7).map(after.active) == Seq(true, true, true, false, true, false, false))
        assert(after.token(2) == 20 && after.remaining(3) == 0 && after.position(3) == 11)
      } finally sampling.close()
    }
  }

  test("settings that mean nothing are refused") {
    for ((vocabulary, temperature, topP) <- Seq((0, 1.0, 1.0), (10, -1.0, 1.0), (10, 1.0, 0.0), (10, 1.0, 1.1)))
      assertThrows[IllegalArgumentException](new Sampling(null, null, vocabulary, temperature, topP))
  }
}
