package io.rollcall.kernels.cuda

import java.nio.{ByteBuffer, ByteOrder}

import scala.jdk.CollectionConverters._
import scala.util.Random

import io.rollcall.kernels.{AttentionShape, Fixtures, WorkerPool}
import io.rollcall.kernels.cpu.CpuKernels
import io.rollcall.kernels.cuda.PrefillTiles.Span
import org.scalatest.funsuite.AnyFunSuite

final class AttentionSuite extends AnyFunSuite with DeviceFixture {
  import AttentionSuite._

  private val lengths = Seq(1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200, 333)

  /** A pool of one layer among three, its pages dealt out of order, and the same on the host. Where no
    * position was ever written lies NaN.
    */
  private final class Pool(val shape: Heads, slots: Int, maxContext: Int, random: Random) extends AutoCloseable {
    import shape._
    private val maxPages = (maxContext + 63) / 64
    val layer = 1
    val pages: KeyValuePages = KeyValuePages.allocate(
      context,
      new KeyValuePages.Shape(3, kvHeads, headSize, slots * maxPages + 3, slots, maxContext)
    )
    val attention = new Attention(context, heads, kvHeads, headSize)
    private val elements = pages.shape.pages * kvHeads * 64 * headSize
    val keys: Array[Float] = Array.fill(elements)(Float.NaN)
    val values: Array[Float] = Array.fill(elements)(Float.NaN)
    private val slotOrder = random.shuffle((0 until slots).toList)

    // Slots take and give pages in turn, so that a slot's pages are neither in order nor side by side.
    slotOrder.foreach(slot => pages.reserve(slot, 1 + random.nextInt(maxContext)))
    slotOrder.foreach(pages.release)
    for (positions <- 1 to maxContext by 64; slot <- random.shuffle((0 until slots).toList))
      assert(pages.reserve(slot, positions))
    assert(slotOrder.forall(pages.reserve(_, maxContext)))
    pages.flush(stream)

    def offset(slot: Int, position: Int, kvHead: Int): Int =
      ((pages.page(slot, position / 64) * kvHeads + kvHead) * 64 + position % 64) * headSize

    /** Random keys and values at positions 0 to `length` - 1. */
    def fill(slot: Int, length: Int): Unit =
      for (position <- 0 until length; kvHead <- 0 until kvHeads; i <- 0 until headSize) {
        keys(offset(slot, position, kvHead) + i) = gaussian(random)
        values(offset(slot, position, kvHead) + i) = gaussian(random)
      }

    def store(): Unit = {
      def copy(to: DeviceBuffer, from: Array[Float]): Unit =
        stream.copy(to, 0, uploadF16(from), 0, from.length * 2L)
      copy(pages.keys(layer), keys)
      copy(pages.values(layer), values)
    }

    /** In double precision, one query row. */
    def reference(q: Array[Float], row: Int, slot: Int, position: Int): Array[Float] = {
      val out = new Array[Float](heads * headSize)
      for (head <- 0 until heads) {
        val kvHead = head / (heads / kvHeads)
        val query = (row * heads + head) * headSize
        val scores = Array.tabulate(position + 1)(p => dot(q, query, offset(slot, p, kvHead)) / math.sqrt(headSize))
        val most = scores.max
        val weights = scores.map(s => math.exp(s - most))
        val total = weights.sum
        val sums = new Array[Double](headSize)
        for (p <- 0 to position) addScaled(sums, weights(p) / total, offset(slot, p, kvHead))
        for (i <- 0 until headSize) out(head * headSize + i) = sums(i).toFloat
      }
      out
    }

    private def dot(q: Array[Float], query: Int, key: Int): Double = {
      var sum = 0.0
      var i = 0
      while (i < headSize) {
        sum += q(query + i).toDouble * keys(key + i)
        i += 1
      }
      sum
    }

    private def addScaled(sums: Array[Double], weight: Double, value: Int): Unit = {
      var i = 0
      while (i < headSize) {
        sums(i) += weight * values(value + i)
        i += 1
      }
    }

    private val scratch = zeros(Attention.decodeScratchBytes(context.device, heads, kvHeads, headSize))

    /** One decode step; a sequence is a slot and its position, or inactive. */
    def decode(q: Array[Float], sequences: Seq[Option[(Int, Int)]]): Array[Float] = {
      val out = uploadF16(Array.fill(q.length)(Float.NaN))
      attention.decode(
        stream, pages, layer, uploadState(sequences), sequences.size, uploadF16(q), out, scratch)
      f16s(out, q.length)
    }

    def prefill(q: Array[Float], spans: Seq[Span], rowsOfTile: Int): Array[Float] = {
      val tiles = PrefillTiles.cut(spans.asJava, heads / kvHeads, rowsOfTile)
      val list = ByteBuffer.allocate(tiles.bytes).order(ByteOrder.LITTLE_ENDIAN)
      tiles.write(list)
      val out = uploadF16(Array.fill(q.length)(-7f))
      attention.prefill(stream, pages, layer, tiles, uploadBytes(list.array), uploadF16(q), out)
      f16s(out, q.length)
    }

    def queries(rows: Int): Array[Float] = Array.fill(rows * heads * headSize)(gaussian(random))

    override def close(): Unit = pages.close()
  }

  private def uploadState(sequences: Seq[Option[(Int, Int)]]): DeviceBuffer = {
    val bytes = ByteBuffer.allocate(StepState.BYTES).order(ByteOrder.LITTLE_ENDIAN)
    val state = new StepState(bytes, 0)
    state.clear()
    sequences.zipWithIndex.foreach {
      case (Some((slot, position)), b) => state.set(b, 0, 0, position, slot, 0, 1)
      // What an ended sequence leaves behind must not matter.
      case (None, b) =>
        state.set(b, 0, 0, 1 << 20, 1 << 20, 0, 1)
        state.deactivate(b)
    }
    state.begin()
    uploadBytes(bytes.array)
  }

  private def close(actual: Array[Float], expected: Array[Float]): Unit =
    assertClose(actual, expected, 8e-3f, 1e-2f)

  for (group <- Seq(1, 2, 3, 4, 8); headSize <- Seq(64, 128)) {
    test(s"a decode step equals the reference: groups of $group, heads of $headSize") {
      onDevice {
        val random = new Random(group * 1000 + headSize)
        for (kvHeads <- Seq(1, 3); sequences <- Seq(1, 4, 16)) {
          val pool = new Pool(Heads(group * kvHeads, kvHeads, headSize), sequences, 340, random)
          try {
            val step = random.shuffle((0 until sequences).toList).map { slot =>
              val length = Fixtures.pick(random, lengths)
              pool.fill(slot, length)
              if (sequences > 1 && random.nextInt(5) == 0) None else Some((slot, length - 1))
            }
            pool.store()
            val q = pool.queries(sequences)
            val out = pool.decode(q, step)
            val width = pool.shape.heads * headSize
            step.zipWithIndex.foreach {
              case (Some((slot, position)), b) =>
                close(Fixtures.slice(out, width, b), pool.reference(q, b, slot, position))
              case (None, b) => assert(Fixtures.slice(out, width, b).forall(_ == 0))
            }
          } finally pool.close()
        }
      }
    }

    test(s"prefill equals the reference: groups of $group, heads of $headSize") {
      onDevice {
        val random = new Random(group * 1000 + headSize + 1)
        for (rowsOfTile <- Seq(64, 128)) {
          val prompts = 5
          val pool = new Pool(Heads(group * 2, 2, headSize), prompts, 340, random)
          try {
            var row = 0
            val spans = random.shuffle((0 until prompts).toList).map { slot =>
              val length = Fixtures.pick(random, lengths)
              val first = if (random.nextBoolean()) 0 else random.nextInt(length)
              pool.fill(slot, length)
              val span = new Span(slot, row, first, length - first)
              row += length - first
              span
            }
            pool.store()
            val q = pool.queries(row + 2)
            val out = pool.prefill(q, spans, rowsOfTile)
            val width = pool.shape.heads * headSize
            for (span <- spans; i <- 0 until span.queries)
              close(
                Fixtures.slice(out, width, span.firstRow + i),
                pool.reference(q, span.firstRow + i, span.slot, span.firstPosition + i)
              )
            assert(Fixtures.slice(out, width, row, 2).forall(_ == -7f), "rows of no tile")
          } finally pool.close()
        }
      }
    }
  }

  test("decode and prefill equal the CPU's attention") {
    onDevice {
      val random = new Random(5)
      val shape = Heads(8, 2, 128)
      val length = 150
      val pool = new Pool(shape, 2, length, random)
      try {
        pool.fill(1, length)
        pool.store()
        val q = pool.queries(length)
        val cpuShape = new AttentionShape(shape.heads, shape.kvHeads, shape.headSize, length)
        val keys = new Array[Float](cpuShape.slotFloats)
        val values = new Array[Float](cpuShape.slotFloats)
        for (position <- 0 until length; kvHead <- 0 until shape.kvHeads) {
          val from = pool.offset(1, position, kvHead)
          val to = cpuShape.offset(kvHead, position)
          System.arraycopy(pool.keys, from, keys, to, shape.headSize)
          System.arraycopy(pool.values, from, values, to, shape.headSize)
        }
        val expected = new Array[Float](q.length)
        val workers = new WorkerPool(1)
        try
          CpuKernels
            .create(workers)
            .attention(
              cpuShape, q, keys, values, new Array[Int](length), Array.range(0, length), length, expected)
        finally workers.close()

        close(pool.prefill(q, Seq(new Span(1, 0, 0, length)), 128), expected)
        val width = shape.heads * shape.headSize
        val last = Fixtures.slice(q, width, length - 1)
        close(
          pool.decode(last, Seq(Some((1, length - 1)))),
          Fixtures.slice(expected, width, length - 1)
        )
      } finally pool.close()
    }
  }

  test("a prompt in chunks, in tiles of either size, gives the same bits as in one pass") {
    onDevice {
      val random = new Random(6)
      val length = 300
      val pool = new Pool(Heads(12, 3, 128), 2, length, random)
      try {
        pool.fill(0, length)
        pool.store()
        val q = pool.queries(length)
        val width = pool.shape.heads * pool.shape.headSize
        val whole = pool.prefill(q, Seq(new Span(0, 0, 0, length)), 128)
        for (cut <- Seq(1, 63, 64, 65, 130, 299)) {
          val first = pool.prefill(Fixtures.slice(q, width, 0, cut), Seq(new Span(0, 0, 0, cut)), 64)
          val rest = pool.prefill(
            Fixtures.slice(q, width, cut, length - cut), Seq(new Span(0, 0, cut, length - cut)), 128)
          assert(Fixtures.bits(first ++ rest) == Fixtures.bits(whole), s"cut at $cut")
        }
      } finally pool.close()
    }
  }

  test("long sequences beside short ones, 64 in a step") {
    onDevice {
      val random = new Random(7)
      val pool = new Pool(Heads(8, 2, 128), 64, 1100, random)
      try {
        val step = (0 until 64).map { slot =>
          val length = if (slot % 9 == 0) 1000 + random.nextInt(100) else 1 + random.nextInt(70)
          pool.fill(slot, length)
          if (slot % 5 == 3) None else Some((slot, length - 1))
        }
        pool.store()
        val q = pool.queries(64)
        val out = pool.decode(q, step)
        val width = pool.shape.heads * pool.shape.headSize
        for ((Some((slot, position)), b) <- step.zipWithIndex)
          close(Fixtures.slice(out, width, b), pool.reference(q, b, slot, position))
        assert(Fixtures.bits(pool.decode(q, step)) == Fixtures.bits(out), "again, the same bits")
      } finally pool.close()
    }
  }

  test("large scores neither overflow nor lose the largest") {
    onDevice {
      val random = new Random(8)
      val length = 130
      val pool = new Pool(Heads(4, 1, 64), 1, length, random)
      try {
        pool.fill(0, length)
        for (i <- pool.keys.indices) pool.keys(i) = DeviceFixture.rounded(pool.keys(i) * 30)
        pool.store()
        val q = pool.queries(length).map(x => DeviceFixture.rounded(x * 30))
        val out = pool.prefill(q, Seq(new Span(0, 0, 0, length)), 64)
        val width = pool.shape.heads * pool.shape.headSize
        for (row <- 0 until length)
          assertClose(Fixtures.slice(out, width, row), pool.reference(q, row, 0, row), 0.05f, 0.02f)
        val last = Fixtures.slice(q, width, length - 1)
        assertClose(
          pool.decode(last, Seq(Some((0, length - 1)))), pool.reference(last, 0, 0, length - 1), 0.05f, 0.02f)
      } finally pool.close()
    }
  }

  for (size <- Seq(64, 128)) {
    test(s"rows are rotated and stored where their positions lie: heads of $size") {
      onDevice {
        val random = new Random(9 + size)
        val shape = Heads(6, 2, size)
        import shape._
        val maxContext = 200
        val rows = 9
        val pool = new Pool(shape, rows, maxContext, random)
        try {
          val width = (heads + 2 * kvHeads) * headSize
          val qkv = Array.fill(rows * width)(gaussian(random))
          val angles = Array.fill(maxContext * headSize / 2)(random.nextDouble() * 6)
          val cos = angles.map(a => math.cos(a).toFloat)
          val sin = angles.map(a => math.sin(a).toFloat)
          val rotation = new Attention.Rotation(upload(cos), upload(sin))
          val places = random.shuffle((0 until rows).toList).zipWithIndex.map { case (slot, row) =>
            if (row % 4 == 2) None else Some((slot, random.nextInt(maxContext)))
          }
          val deviceQkv = uploadF16(qkv)
          val sentinel = Array.fill(pool.keys.length)(3f)

          def rotated(row: Int, head: Int, position: Int): Array[Float] = {
            val x = qkv.slice(row * width + head * headSize, row * width + (head + 1) * headSize)
            val half = headSize / 2
            if (head >= heads + kvHeads) x
            else
              Array.tabulate(headSize) { i =>
                val c = cos(position * half + i % half)
                val s = sin(position * half + i % half)
                if (i < half) x(i) * c - x(i + half) * s else x(i) * c + x(i - half) * s
              }
          }

          def check(write: DeviceBuffer => Unit): Unit = {
            stream.copy(pool.pages.keys(pool.layer), 0, uploadF16(sentinel), 0, sentinel.length * 2L)
            stream.copy(pool.pages.values(pool.layer), 0, uploadF16(sentinel), 0, sentinel.length * 2L)
            val q = uploadF16(Array.fill(rows * heads * headSize)(3f))
            write(q)
            val expectedQ = Array.fill(rows * heads * headSize)(3f)
            val expectedKeys = sentinel.clone()
            val expectedValues = sentinel.clone()
            for ((Some((slot, position)), row) <- places.zipWithIndex) {
              for (head <- 0 until heads)
                rotated(row, head, position).copyToArray(expectedQ, (row * heads + head) * headSize)
              for (kvHead <- 0 until kvHeads) {
                val at = pool.offset(slot, position, kvHead)
                rotated(row, heads + kvHead, position).copyToArray(expectedKeys, at)
                rotated(row, heads + kvHeads + kvHead, position).copyToArray(expectedValues, at)
              }
            }
            assertClose(f16s(q, expectedQ.length), expectedQ, 1e-3f, 5e-3f)
            assertClose(f16s(pool.pages.keys(pool.layer), sentinel.length), expectedKeys, 1e-3f, 5e-3f)
            assertClose(f16s(pool.pages.values(pool.layer), sentinel.length), expectedValues, 0, 0)
          }

          check { q =>
            val positions = uploadInts(places.map(_.fold(0)(_._2)).toArray)
            val slots = uploadInts(places.map(_.fold(-1)(_._1)).toArray)
            pool.attention.ropeWrite(
              stream, rotation, pool.pages, pool.layer, deviceQkv, positions, slots, rows, q)
          }
          val before = Array.fill(sentinel.length)(gaussian(random))
          def step(attend: (DeviceBuffer, DeviceBuffer, DeviceBuffer) => Unit): (Array[Float], Array[Float], Array[Float]) = {
            stream.copy(pool.pages.keys(pool.layer), 0, uploadF16(before), 0, sentinel.length * 2L)
            stream.copy(pool.pages.values(pool.layer), 0, uploadF16(before.reverse), 0, sentinel.length * 2L)
            val out = zeros(rows * heads * headSize * 2L)
            attend(uploadState(places), out, zeros(Attention.decodeScratchBytes(context.device, heads, kvHeads, headSize)))
            stream.synchronize()
            (f16s(out, rows * heads * headSize), f16s(pool.pages.keys(pool.layer), sentinel.length),
              f16s(pool.pages.values(pool.layer), sentinel.length))
          }
          val (out, keys, values) = step { (state, out, scratch) =>
            pool.attention.decodeRotating(
              stream, rotation, pool.pages, pool.layer, state, rows, upload(qkv), out, scratch)
          }
          val (wantedOut, wantedKeys, wantedValues) = step { (state, out, scratch) =>
            val positions = uploadInts(places.map(_.fold(0)(_._2)).toArray)
            val slots = uploadInts(places.map(_.fold(-1)(_._1)).toArray)
            val q = zeros(rows * heads * headSize * 2L)
            pool.attention.ropeWrite(
              stream, rotation, pool.pages, pool.layer, deviceQkv, positions, slots, rows, q)
            pool.attention.decode(stream, pool.pages, pool.layer, state, rows, q, out, scratch)
          }
          assertClose(out, wantedOut, 2e-3f, 2e-3f)
          assertClose(keys, wantedKeys, 1e-3f, 1e-3f)
          assert(values.sameElements(wantedValues))
        } finally pool.close()
      }
    }
  }

  test("pages that are given back and taken again serve the next sequence, in a replayed graph") {
    onDevice {
      val random = new Random(10)
      val shape = Heads(8, 2, 64)
      val pages = KeyValuePages.allocate(context, new KeyValuePages.Shape(1, 2, 64, 4, 2, 256))
      try {
        val attention = new Attention(context, 8, 2, 64)
        val width = shape.heads * shape.headSize
        val qkvWidth = (shape.heads + 2 * shape.kvHeads) * shape.headSize
        val scratch = zeros(Attention.decodeScratchBytes(context.device, 8, 2, 64))
        val rotation = new Attention.Rotation(upload(Array.fill(256 * 32)(1f)), upload(new Array[Float](256 * 32)))
        val qkv = zeros(qkvWidth * 4L)
        val out = zeros(width * 2L)
        val state = zeros(StepState.BYTES)
        val step = stream.capture(() => {
          attention.decodeRotating(stream, rotation, pages, 0, state, 1, qkv, out, scratch)
        })
        try
          for (slot <- Seq(0, 1, 0)) {
            var sum = 0.0
            for (position <- 0 until 130) {
              assert(pages.reserve(slot, position + 1))
              pages.flush(stream)
              // Keys of zeros weigh all positions alike: the output is the mean of the values so far.
              val value = random.nextInt(9).toFloat
              sum += value
              val row = new Array[Float](qkvWidth)
              java.util.Arrays.fill(row, (shape.heads + shape.kvHeads) * shape.headSize, qkvWidth, value)
              stream.copy(qkv, 0, upload(row), 0, qkvWidth * 4L)
              stream.copy(state, 0, uploadState(Seq(Some((slot, position)))), 0, StepState.BYTES)
              step.launch(stream)
              close(f16s(out, width), Array.fill(width)((sum / (position + 1)).toFloat))
            }
            pages.release(slot)
          }
        finally step.close()
        assert(pages.freePages == 4)
      } finally pages.close()
    }
  }

  test("a pool that does not fit says how much it needs and how much there is") {
    onDevice {
      val perPage = new KeyValuePages.Shape(32, 8, 128, 1, 1, 64).bytesPerPage
      assert(perPage == 2L * 32 * 8 * 64 * 128 * 2)
      val pages = (context.device.memoryBytes / perPage + 100).toInt
      val shape = new KeyValuePages.Shape(32, 8, 128, pages, 1, 64)
      val refused = intercept[DeviceMemoryException](KeyValuePages.allocate(context, shape))
      assert(refused.needed == pages * perPage)
      assert(refused.getMessage.contains("key/value pool"))
    }
  }

  test("a shape that the kernels do not cover is refused by name") {
    onDevice {
      assert(
        intercept[IllegalArgumentException](new Attention(context, 8, 2, 80)).getMessage.contains("80 elements"))
      assertThrows[IllegalArgumentException](new Attention(context, 18, 2, 64))
    }
  }
}

object AttentionSuite {
  final case class Heads(heads: Int, kvHeads: Int, headSize: Int)

  /** A normal value as f16 keeps it. */
  private def gaussian(random: Random): Float = DeviceFixture.rounded(random.nextGaussian().toFloat)
}
