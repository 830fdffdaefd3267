package io.rollcall.kernels.cpu

import scala.util.Random

import io.rollcall.kernels._
import org.scalatest.funsuite.AnyFunSuite

/** What is computed for one sequence has the same bits in any company. */
class BatchInvarianceSuite extends AnyFunSuite {
  import Fixtures._

  private val batches = (1 to 9) ++ Seq(16, 33)

  /** Both providers; `alone` always has one worker, `kernels` 1 to 3. */
  private def seeds(times: Int)(body: (Random, Kernels, Kernels) => Unit): Unit =
    for (workers <- 1 to 3; fast <- Seq(true, false)) {
      val (single, pool) = (new WorkerPool(1), new WorkerPool(workers))
      def create(pool: WorkerPool) = if (fast) CpuKernels.create(pool) else CpuKernels.plain(pool)
      try
        for (seed <- 0 until times)
          withClue(s"fast $fast, workers $workers, seed $seed: ")(
            body(new Random(seed * 17L + workers), create(single), create(pool)))
      finally {
        pool.close()
        single.close()
      }
    }

  test("a dot product has the same bits in any batch, any list of rows and any number of workers") {
    seeds(20) { (random, alone, kernels) =>
      val (n, k) = (pick(random, Seq(3, 40, 150, 400)), pick(random, widths))
      val batch = pick(random, batches)
      val w = matrix(random, pick(random, types), n, k)
      val x = floats(random, batch * k)
      val y = new Array[Float](batch * n)
      kernels.matmul(w, x, batch, y)
      val one = new Array[Float](n)
      for (b <- 0 until batch) {
        alone.matmul(w, slice(x, k, b), 1, one)
        assert(bits(slice(y, n, b)) == bits(one), s"${w.`type`} $n x $k, batch $batch, row $b")
      }
      val index = rows(random, n, 0.4)
      val chosen = new Array[Float](batch * index.count)
      kernels.matmulRows(w, index, x, batch, chosen)
      for (b <- 0 until batch; j <- 0 until index.count)
        assert(bits(chosen)(b * index.count + j) == bits(y)(b * n + index.row(j)))
    }
  }

  test("a sum of rows has the same bits in any batch, and rows with coefficient zero leave no trace") {
    seeds(20) { (random, alone, kernels) =>
      val (f, d) = (pick(random, Seq(3, 40, 150, 300)), pick(random, widths))
      val batch = pick(random, batches)
      val w = matrix(random, pick(random, types), f, d)
      val index = rows(random, f, 0.6)
      val count = index.count
      val c = floats(random, batch * count).map(v => if (random.nextBoolean()) 0f else v)
      val y = new Array[Float](batch * d)
      kernels.sumRows(w, index, c, batch, y)
      val one = new Array[Float](d)
      for (b <- 0 until batch) {
        val used = (0 until count).filter(j => c(b * count + j) != 0f)
        alone.sumRows(w, index2(f, index, used), used.map(j => c(b * count + j)).toArray, 1, one)
        assert(bits(slice(y, d, b)) == bits(one), s"${w.`type`} $f x $d, batch $batch, row $b")
        val wide = new Array[Float](f)
        used.foreach(j => wide(index.row(j)) = c(b * count + j))
        alone.sumRows(w, wide, 1, one)
        assert(bits(slice(y, d, b)) == bits(one))
      }
    }
  }

  private def index2(capacity: Int, of: RowIndex, used: Seq[Int]): RowIndex =
    index(capacity, used.map(of.row))

  test("a coefficient of zero leaves the sum's sign alone even where products underflow") {
    seeds(1) { (_, alone, kernels) =>
      val w = matrix(WeightType.F32, 2, 3, Array(-1e-30f, -1e-30f, 1e-30f, 1f, -1f, 1f))
      val (y, one) = (new Array[Float](3), new Array[Float](3))
      kernels.sumRows(w, Array(1e-30f, 0f), 1, y)
      alone.sumRows(w, index(2, Seq(0)), Array(1e-30f), 1, one)
      assert(bits(y) == bits(one))
    }
  }

  test("attention of a token has the same bits in any company") {
    seeds(15) { (random, alone, kernels) =>
      val kvHeads = 1 + random.nextInt(2)
      val shape = new AttentionShape(
        kvHeads * (1 + random.nextInt(5)), kvHeads, pick(random, Seq(4, 32, 64, 80)), 90)
      val keys = floats(random, 2 * shape.slotFloats)
      val values = floats(random, 2 * shape.slotFloats)
      val tokens = 1 + random.nextInt(60)
      val split = random.nextInt(tokens + 1)
      val width = shape.heads * shape.headSize
      val offsets = Array.tabulate(tokens)(t => if (t < split) 0 else shape.slotFloats)
      val positions = Array.tabulate(tokens)(t => if (t < split) t + 20 else t - split)
      val q = floats(random, tokens * width)
      val out = new Array[Float](tokens * width)
      kernels.attention(shape, q, keys, values, offsets, positions, tokens, out)
      val one = new Array[Float](width)
      for (t <- 0 until tokens) {
        alone.attention(
          shape, slice(q, width, t), keys, values, Array(offsets(t)), Array(positions(t)), 1, one)
        assert(bits(slice(out, width, t)) == bits(one), s"$shape, token $t of $tokens")
      }
    }
  }

  test("norms, softmax and rotations of a row have the same bits in any batch") {
    seeds(15) { (random, alone, kernels) =>
      val (batch, width) = (pick(random, batches), pick(random, widths))
      val x = floats(random, batch * width)
      val weight = floats(random, width)
      val y = new Array[Float](batch * width)
      kernels.rmsNorm(x, batch, width, weight, 1e-6f, y)
      val z = x.clone()
      kernels.softmax(z, batch, width)
      val one = new Array[Float](width)
      for (b <- 0 until batch) {
        alone.rmsNorm(slice(x, width, b), 1, width, weight, 1e-6f, one)
        assert(bits(slice(y, width, b)) == bits(one))
        val row = slice(x, width, b)
        alone.softmax(row, 1, width)
        assert(bits(slice(z, width, b)) == bits(row))
      }
    }
  }
}
