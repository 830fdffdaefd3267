package io.rollcall.kernels.cpu

import scala.util.Random

import io.rollcall.kernels._
import org.scalatest.funsuite.AnyFunSuite

/** The fast provider against the plain one over random shapes. */
class ProvidersAgreeSuite extends AnyFunSuite {
  import Fixtures._

  private val batches = (1 to 9) ++ Seq(16, 33)
  private val tolerance = 2e-4

  /** Runs body for `times` seeds with the fast and the plain provider over 1 to 3 workers. */
  private def seeds(times: Int)(body: (Random, Kernels, Kernels) => Unit): Unit =
    for (workers <- 1 to 3) {
      val pool = new WorkerPool(workers)
      try
        for (seed <- 0 until times)
          withClue(s"seed $seed, workers $workers: ") {
            val random = new Random(seed * 31L + workers)
            body(random, CpuKernels.create(pool), CpuKernels.plain(pool))
          }
      finally pool.close()
    }

  private def both(size: Int, fast: Kernels, plain: Kernels)(
      run: (Kernels, Array[Float]) => Unit): Unit = {
    val actual = Array.fill(size)(Float.NaN)
    val expected = Array.fill(size)(Float.NaN)
    run(fast, actual)
    run(plain, expected)
    assert(close(actual, expected, tolerance))
  }

  test("matmul and matmulRows agree for every type, odd widths, any batch and empty or full lists") {
    seeds(60) { (random, fast, plain) =>
      val (n, k) = (1 + random.nextInt(150), pick(random, widths))
      val batch = pick(random, batches)
      val kind = pick(random, types)
      val w = matrix(random, kind, n, k)
      val x = floats(random, batch * k)
      withClue(s"$kind $n x $k, batch $batch: ") {
        both(batch * n, fast, plain)(_.matmul(w, x, batch, _))
        val index = rows(random, n, pick(random, Seq(0.0, 0.1, 0.5, 1.0)))
        both(batch * index.count, fast, plain)(_.matmulRows(w, index, x, batch, _))
      }
    }
  }

  test("sumRows agrees for every type, odd widths, any batch and empty or full lists") {
    seeds(60) { (random, fast, plain) =>
      val (f, d) = (1 + random.nextInt(150), pick(random, widths))
      val batch = pick(random, batches)
      val kind = pick(random, types)
      val w = matrix(random, kind, f, d)
      withClue(s"$kind $f x $d, batch $batch: ") {
        val c = floats(random, batch * f)
        both(batch * d, fast, plain)(_.sumRows(w, c, batch, _))
        val index = rows(random, f, pick(random, Seq(0.0, 0.1, 0.5, 1.0)))
        val compact = floats(random, batch * index.count)
        both(batch * d, fast, plain)(_.sumRows(w, index, compact, batch, _))
      }
    }
  }

  test("large products agree when they are split over workers") {
    seeds(4) { (random, fast, plain) =>
      val w = matrix(random, pick(random, types), 700, 384)
      val batch = pick(random, Seq(1, 17, 64))
      val x = floats(random, batch * 384)
      both(batch * 700, fast, plain)(_.matmul(w, x, batch, _))
      val c = floats(random, batch * 700)
      both(batch * 384, fast, plain)(_.sumRows(w, c, batch, _))
    }
  }

  test("every f16 bit pattern is unpacked as the matrix reads it") {
    seeds(1) { (_, fast, _) =>
      val values = Array.tabulate(65536)(i => Float16Values(i))
      val w = matrix(WeightType.F16, 256, 256, values)
      val one = new Array[Float](256)
      val y = new Array[Float](256)
      for (r <- 0 until 256) {
        fast.sumRows(w, index(256, Seq(r)), Array(1f), 1, y)
        w.row(r, one, 0)
        assert(one.indices.forall(i => one(i) == y(i)), s"row $r")
      }
    }
  }

  test("rmsNorm, add, softmax and rope agree, the first in place too") {
    seeds(40) { (random, fast, plain) =>
      val (batch, width) = (pick(random, batches), pick(random, widths))
      val x = floats(random, batch * width)
      val weight = floats(random, width)
      both(batch * width, fast, plain)(_.rmsNorm(x, batch, width, weight, 1e-5f, _))
      def inPlace(run: (Kernels, Array[Float]) => Unit): Unit =
        both(batch * width, fast, plain) { (kernels, out) =>
          System.arraycopy(x, 0, out, 0, out.length)
          run(kernels, out)
        }
      inPlace((kernels, out) => kernels.rmsNorm(out, batch, width, weight, 1e-5f, out))
      inPlace(_.add(_, floats(new Random(1), batch * width), batch * width))
      inPlace(_.softmax(_, batch, width))
      val headSize = pick(random, Seq(2, 6, 32, 64, 80))
      val heads = 1 + random.nextInt(3)
      val positions = Array.fill(batch)(random.nextInt(20))
      val angles = floats(random, 20 * headSize / 2)
      val q = floats(random, batch * heads * headSize)
      both(q.length, fast, plain) { (kernels, out) =>
        System.arraycopy(q, 0, out, 0, out.length)
        kernels.rope(out, batch, heads, headSize, positions, angles.map(a => math.cos(a).toFloat),
          angles.map(a => math.sin(a).toFloat))
      }
    }
  }

  test("attention agrees for decode and prefill, any head size and group") {
    seeds(40) { (random, fast, plain) =>
      val kvHeads = 1 + random.nextInt(3)
      val shape = new AttentionShape(
        kvHeads * (1 + random.nextInt(4)), kvHeads, pick(random, Seq(4, 32, 64, 80, 128)), 70)
      val slots = 3
      val keys = floats(random, slots * shape.slotFloats)
      val values = floats(random, slots * shape.slotFloats)
      val prefill = random.nextBoolean()
      val tokens = if (prefill) 1 + random.nextInt(50) else pick(random, batches)
      val offsets =
        Array.tabulate(tokens)(t => (if (prefill) 1 else t % slots) * shape.slotFloats)
      val positions = Array.tabulate(tokens)(t => if (prefill) t + 3 else random.nextInt(70))
      val q = floats(random, tokens * shape.heads * shape.headSize)
      withClue(s"$shape, tokens $tokens, prefill $prefill: ") {
        both(q.length, fast, plain)(
          _.attention(shape, q, keys, values, offsets, positions, tokens, _))
      }
    }
  }

  test("gathers and batch energy agree") {
    seeds(30) { (random, fast, plain) =>
      val (batch, width) = (pick(random, batches), pick(random, widths))
      val wide = floats(random, batch * width)
      if (random.nextBoolean()) (0 until width).foreach(wide(_) = 0f)
      val scale = if (random.nextBoolean()) null else floats(random, width).map(math.abs)
      both(width, fast, plain)(_.batchEnergy(wide, batch, width, scale, _))
      val index = rows(random, width, 0.4)
      both(batch * index.count, fast, plain)(_.gather(wide, batch, width, index, _))
      val compact = floats(random, batch * index.count)
      both(compact.length, fast, plain) { (kernels, out) =>
        System.arraycopy(compact, 0, out, 0, out.length)
        kernels.multiplyGathered(wide, batch, width, index, out)
        out.indices.foreach { i =>
          val neuron = index.row(i % index.count)
          assert(out(i) == compact(i) * wide(i / index.count * width + neuron))
        }
      }
    }
  }

  test("gate activations multiply the up projection") {
    seeds(10) { (random, fast, plain) =>
      val n = pick(random, widths) * 3
      val gate = floats(random, n)
      val up = floats(random, n)
      for (activation <- Activation.values)
        both(n, fast, plain) { (kernels, out) =>
          System.arraycopy(gate, 0, out, 0, n)
          kernels.activateAndMultiply(activation, out, up, n)
        }
    }
  }

  test("the union is the set of neurons some sequence calls, and the rest of each is dropped") {
    seeds(40) { (random, fast, plain) =>
      val (batch, width) = (pick(random, batches), pick(random, widths))
      val scores = floats(random, batch * width)
      scores(random.nextInt(scores.length)) = Float.NaN
      val scale = if (random.nextBoolean()) null else floats(random, width).map(math.abs)
      val threshold = pick(random, Seq(-1f, 0f, 0.5f, 2f, 100f))
      def calls(b: Int, i: Int) =
        math.abs(scores(b * width + i)) * (if (scale == null) 1f else scale(i)) > threshold
      val expected = (0 until width).filter(i => (0 until batch).exists(calls(_, i)))
      for (kernels <- Seq(fast, plain)) {
        val union = new RowIndex(width)
        val called = Array.fill(batch)(-1)
        kernels.union(scores, batch, width, scale, threshold, union, called)
        assert(entries(union) == expected)
        assert(called.toSeq == (0 until batch).map(b => (0 until width).count(calls(b, _))))
        val compact = Array.fill(batch * union.count)(1f)
        kernels.dropUncalled(scores, batch, width, scale, threshold, union, compact)
        for (b <- 0 until batch; j <- 0 until union.count)
          assert(compact(b * union.count + j) == (if (calls(b, union.row(j))) 1f else 0f))
      }
    }
  }

  test("arrays that are too short are refused with what was needed") {
    val pool = new WorkerPool(1)
    val w = matrix(new Random(0), WeightType.F32, 4, 8)
    val thrown = intercept[IllegalArgumentException](
      CpuKernels.create(pool).matmul(w, new Array(15), 2, new Array(8)))
    assert(thrown.getMessage.contains("15") && thrown.getMessage.contains("16"))
  }
}

/** Finite f16 values by bit pattern; infinities and NaNs, which no weight is, give 1. */
object Float16Values {
  def apply(bits: Int): Float = {
    val exponent = (bits >> 10) & 31
    val magnitude =
      if (exponent == 0) (bits & 1023) * math.pow(2, -24)
      else (1024 + (bits & 1023)) * math.pow(2, exponent - 25)
    if (exponent == 31) 1f else ((if ((bits & 0x8000) != 0) -1 else 1) * magnitude).toFloat
  }
}
