package io.rollcall.kernels.cuda

import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.kernels.WeightType

class DecodeProductsSuite extends AnyFunSuite with DeviceFixture {
  private val batches = Seq(1, 2, 3, 8, 9, 16, 31, 32, 33, 64)
  private val kinds = Seq(WeightType.F16, WeightType.INT8, WeightType.INT4)

  private def expected(w: DeviceWeights, x: Array[Float], batch: Int): Array[Float] = {
    val columns = w.matrix.columns
    DeviceFixture.tabulated(batch * w.matrix.rows) { i =>
      val b = i / w.matrix.rows
      val r = i % w.matrix.rows
      var sum = 0.0
      var k = 0
      while (k < columns) { sum += w.values(r * columns + k).toDouble * x(b * columns + k); k += 1 }
      sum
    }.map(_.toFloat)
  }

  /** Quantised weights are rounded to f16 one by one: an error of a random walk. */
  private def tolerance(columns: Int): Float = (0.05 * 0.01 * math.sqrt(columns) + 1e-3).toFloat

  private def activations(random: Random, n: Int): Array[Float] =
    Array.fill(n)(DeviceFixture.rounded(random.nextGaussian().toFloat))

  /** Whole, and split over columns. */
  private def assertProducts(kind: WeightType, rows: Int, columns: Int, batch: Int, random: Random): Unit = {
    val products = new DecodeProducts(context, 4096, batch)
    val w = DeviceWeights.random(this, random, kind, rows, columns, 0.05f)
    val x = activations(random, batch * columns)
    val want = expected(w, x, batch)
    val y = zeros(4L * rows * batch)
    val hint = s"of [$rows x $columns] $kind, batch $batch"
    products.project(stream, w.matrix, uploadF16(x), batch, y)
    stream.synchronize()
    withClue(hint)(assertClose(floats(y, rows * batch), want, tolerance(columns), 1e-2f))

    val splits = products.projectSplits(w.matrix, batch)
    val parts = zeros(4L * rows * batch * splits)
    products.projectSplit(stream, w.matrix, uploadF16(x), batch, parts)
    stream.synchronize()
    val summed = floats(parts, rows * batch * splits).grouped(rows * batch).reduce((a, b) => a.zip(b).map(p => p._1 + p._2))
    withClue(hint)(assertClose(summed, want, tolerance(columns), 1e-2f))
    products.close()
  }

  for (kind <- kinds) {
    test(s"a product with $kind weights is the sum of its terms, at every batch and odd shapes") {
      onDevice {
        val random = new Random(1)
        for (batch <- batches; (rows, columns) <- Seq((64, 64), (200, 192), (136, 384), (1000, 1024), (72, 4096)))
          assertProducts(kind, rows, columns, batch, random)
      }
    }
  }

  test("products of drawn shapes and weights are right (another draw: -Drollcall.seed)") {
    onDevice {
      val random = DeviceFixture.drawing
      for (kind <- kinds; _ <- 0 until 12)
        assertProducts(kind, 8 * (1 + random.nextInt(200)), 64 * (1 + random.nextInt(32)), 1 + random.nextInt(64), random)
    }
  }

  for (kind <- kinds) {
    test(s"a product with $kind weights of many rows is right at every width that activations may be held in") {
      onDevice {
        val random = new Random(4)
        // at batch 64 and 32: one block, two, four and eight that share the columns
        for (batch <- Seq(17, 32, 64); (rows, columns, times) <- Seq((90, 512, 300), (90, 2048, 120), (50, 4096, 130), (26, 8192, 4))) {
          val products = new DecodeProducts(context, rows * times, batch)
          val w = DeviceWeights.random(this, random, kind, rows, columns, 0.05f)
          val x = activations(random, batch * columns)
          val want = expected(w, x, batch).grouped(rows).flatMap(row => Seq.fill(times)(row.toSeq).flatten).toArray
          val y = zeros(4L * want.length)
          products.project(stream, w.repeated(this, 1, times), uploadF16(x), batch, y)
          stream.synchronize()
          assertClose(floats(y, want.length), want, tolerance(columns), 1e-2f)
          products.close()
        }
      }
    }
  }

  for (kind <- kinds)
    test(s"a predictor's hidden layer with $kind weights is the product, rounded, whatever its splits") {
      onDevice {
        val random = new Random(2)
        for (batch <- batches; (rows, columns) <- Seq((64, 384), (640, 4096))) {
          val products = new DecodeProducts(context, 4096, batch)
          val w = DeviceWeights.random(this, random, kind, rows, columns, 0.02f)
          val x = activations(random, batch * columns)
          val y = zeros(2L * rows * batch)
          val input = uploadF16(x)
          // twice: the arrivals of the first must be gone
          for (_ <- 0 until 2) products.hidden(stream, w.matrix, input, batch, y)
          stream.synchronize()
          assertClose(f16s(y, rows * batch), expected(w, x, batch), 1e-2f, 1e-2f)
          products.close()
        }
      }
    }

  for (kind <- kinds) {
    test(s"queries, keys and values with $kind weights are rotated and lie where attention finds them") {
      onDevice {
        val random = new Random(3)
        for (batch <- batches; (heads, kvHeads, size, d) <- Seq((6, 2, 64, 384), (4, 1, 128, 256), (8, 8, 64, 4096))) {
          val context0 = 150
          val pagesEach = 3
          val products = new DecodeProducts(context, 4096, batch)
          val w = DeviceWeights.random(this, random, kind, (heads + 2 * kvHeads) * size, d, 0.05f)
          val x = activations(random, batch * d)
          val half = size / 2
          val cos = Array.fill(context0 * half)(random.nextFloat())
          val sin = Array.fill(context0 * half)(random.nextFloat())
          val slots = random.shuffle((0 until batch).toList).toArray
          val pages = random.shuffle((0 until batch * pagesEach).toList).toArray
          val positions = Array.fill(batch)(random.nextInt(context0))
          val host = java.nio.ByteBuffer.allocateDirect(StepState.BYTES).order(java.nio.ByteOrder.LITTLE_ENDIAN)
          val state = new StepState(host, 0)
          state.clear()
          for (b <- 0 until batch) state.set(b, 0, 0, positions(b), slots(b), 0, 1)
          val asleep = batch / 2
          if (batch > 1) state.deactivate(asleep)
          state.begin()
          val stateBytes = new Array[Byte](StepState.BYTES)
          host.get(0, stateBytes)
          val poolSize = batch * pagesEach * kvHeads * 64 * size
          val keys = zeros(2L * poolSize)
          val values = zeros(2L * poolSize)
          val queries = zeros(2L * batch * heads * size)
          val to = new DecodeProducts.Heads(heads, kvHeads, size, upload(cos), upload(sin), uploadInts(pages), pagesEach, keys, values, queries)
          products.queryKeyValue(stream, w.matrix, uploadF16(x), batch, uploadBytes(stateBytes), to)
          stream.synchronize()
          val flat = expected(w, x, batch)
          val q = f16s(queries, batch * heads * size)
          val k = f16s(keys, poolSize)
          val v = f16s(values, poolSize)
          def raw(b: Int, head: Int, i: Int) = flat(b * w.matrix.rows + head * size + i)
          def rotated(b: Int, head: Int, i: Int) = {
            val c = cos(positions(b) * half + i % half)
            val s = sin(positions(b) * half + i % half)
            if (i < half) raw(b, head, i) * c - raw(b, head, i + half) * s else raw(b, head, i) * c + raw(b, head, i - half) * s
          }
          val untouched = k.indices.map(_ => true).toArray
          for (b <- 0 until batch if batch == 1 || b != asleep) {
            for (h <- 0 until heads; i <- 0 until size) {
              assert(math.abs(q((b * heads + h) * size + i) - rotated(b, h, i)) < 0.03 + 0.02 * math.abs(rotated(b, h, i)), s"query $b $h $i")
            }
            val page = pages(slots(b) * pagesEach + positions(b) / 64)
            for (h <- 0 until kvHeads; i <- 0 until size) {
              val at = ((page * kvHeads + h) * 64 + positions(b) % 64) * size + i
              untouched(at) = false
              val key = rotated(b, heads + h, i)
              val value = raw(b, heads + kvHeads + h, i)
              assert(math.abs(k(at) - key) < 0.03 + 0.02 * math.abs(key), s"key $b $h $i")
              assert(math.abs(v(at) - value) < 0.03 + 0.02 * math.abs(value), s"value $b $h $i")
            }
          }
          assert(k.indices.forall(i => !untouched(i) || (k(i) == 0 && v(i) == 0)))
          products.close()
        }
      }
    }
  }
}
