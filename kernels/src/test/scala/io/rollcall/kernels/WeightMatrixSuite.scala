package io.rollcall.kernels

import java.nio.{ByteBuffer, ByteOrder}

import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

class WeightMatrixSuite extends AnyFunSuite {
  import Fixtures._

  private def allHalves: ByteBuffer = {
    val buffer = ByteBuffer.allocate(2 * 65536).order(ByteOrder.LITTLE_ENDIAN)
    (0 until 65536).foreach(bits => buffer.putShort(bits.toShort))
    buffer.flip()
    buffer
  }

  private def halfValue(bits: Int): Float = {
    val sign = if ((bits & 0x8000) != 0) -1.0 else 1.0
    val exponent = (bits >> 10) & 31
    val mantissa = bits & 1023
    val magnitude =
      if (exponent == 31) if (mantissa == 0) Double.PositiveInfinity else Double.NaN
      else if (exponent == 0) mantissa * math.pow(2, -24)
      else (1024 + mantissa) * math.pow(2, exponent - 25)
    (sign * magnitude).toFloat
  }

  private def same(a: Float, b: Float): Boolean =
    a.isNaN && b.isNaN ||
      java.lang.Float.floatToRawIntBits(a) == java.lang.Float.floatToRawIntBits(b)

  test("every f16 bit pattern reads as the value IEEE 754 gives it") {
    val w = WeightMatrix.of(WeightType.F16, 256, 256, allHalves)
    for (bits <- 0 until 65536)
      assert(same(w.get(bits / 256, bits % 256), halfValue(bits)), s"bits $bits")
  }

  test("every bf16 bit pattern reads as the upper half of an f32") {
    val w = WeightMatrix.of(WeightType.BF16, 256, 256, allHalves)
    for (bits <- 0 until 65536)
      assert(
        same(w.get(bits / 256, bits % 256), java.lang.Float.intBitsToFloat(bits << 16)),
        s"bits $bits")
  }

  test("every f16 value converts to itself, and what lies between goes to the nearest, ties to even") {
    for (bits <- 0 until 65536; value = halfValue(bits))
      if (value.isNaN) assert(Float16.toFloat(Float16.fromFloat(value)).isNaN)
      else assert(Float16.fromFloat(value) == bits, s"bits $bits")
    for (bits <- 0 until 0x7bff) {
      val low = halfValue(bits)
      val high = halfValue(bits + 1)
      val middle = ((low.toDouble + high) / 2).toFloat
      assert(Float16.fromFloat(middle) == bits + (bits & 1), s"tie above $bits")
      assert(Float16.fromFloat(Math.nextDown(middle)) == bits, s"below the tie above $bits")
      assert(Float16.fromFloat(Math.nextUp(middle)) == bits + 1, s"over the tie above $bits")
    }
    assert(Float16.fromFloat(65519.996f) == 0x7bff)
    assert(Float16.fromFloat(65520f) == 0x7c00)
    assert(Float16.fromFloat(Float.NegativeInfinity) == 0xfc00)
  }

  test("get, row and the transposed form agree with the elements given") {
    val random = new Random(1)
    for (kind <- types.filterNot(_.quantised); rows <- Seq(1, 5, 65, 130); columns <- widths) {
      val values = Array.fill(rows * columns)(random.nextInt(255).toFloat - 127)
      val w = matrix(kind, rows, columns, values)
      val transposed =
        Array.tabulate(rows * columns)(i => values(i % rows * columns + i / rows))
      val t = WeightMatrix.ofTransposed(kind, rows, columns, bytes(kind, transposed))
      val row = new Array[Float](columns + 3)
      for (r <- 0 until rows) {
        w.row(r, row, 2)
        for (c <- 0 until columns) {
          val clue = s"$kind $rows x $columns at ($r, $c)"
          assert(w.get(r, c) == values(r * columns + c), clue)
          assert(t.get(r, c) == values(r * columns + c), clue)
          assert(row(c + 2) == values(r * columns + c), clue)
        }
        assert(row(0) == 0 && row(1) == 0 && row(columns + 2) == 0)
      }
    }
  }

  test("a tensor is read from position 0 whatever the buffer's position and order") {
    val data = bytes(WeightType.F32, Array(1f, 2f, 3f, 4f)).order(ByteOrder.BIG_ENDIAN)
    data.position(8)
    val w = WeightMatrix.of(WeightType.F32, 2, 2, data)
    assert(w.get(0, 0) == 1f && w.get(1, 1) == 4f)
    assert(data.position() == 8)
  }

  test("quantised weights are within half a scale of the original, and zeros stay zeros") {
    val random = new Random(2)
    for ((kind, most) <- Seq(WeightType.INT8 -> 127, WeightType.INT4 -> 7); columns <- widths) {
      val rows = 9
      val values = floats(random, rows * columns).map(_ * 0.05f)
      (0 until columns).foreach(c => values(3 * columns + c) = 0f)
      val w = matrix(WeightType.F32, rows, columns, values)
      val q = w.quantise(kind)
      for (r <- 0 until rows; c <- 0 until columns) {
        val group = c / WeightType.GROUP * WeightType.GROUP
        val largest = (group until math.min(group + WeightType.GROUP, columns))
          .map(i => math.abs(w.get(r, i)))
          .max
        val scale = Float16.toFloat(Float16.fromFloat(largest / most))
        assert(
          math.abs(q.get(r, c) - w.get(r, c)) <= 0.5001 * scale + most * math.abs(scale - largest / most),
          s"$kind $columns columns at ($r, $c)")
        if (r == 3) assert(q.get(r, c) == 0f)
      }
    }
  }

  test("row norms are Euclidean") {
    val w = matrix(WeightType.F32, 2, 2, Array(3f, 4f, 0f, 0f))
    assert(w.rowNorms().toSeq == Seq(5f, 0f))
  }

  test("bytes count the precision and the scales, not the padding") {
    assert(matrix(WeightType.BF16, 3, 33, new Array[Float](99)).bytes == 198)
    assert(matrix(WeightType.INT8, 3, 33, new Array[Float](99)).bytes == 3 * (33 + 4))
    assert(matrix(WeightType.INT4, 2, 64, new Array[Float](128)).bytes == 2 * (32 + 4))
  }

  test("errors name the shape") {
    val short = intercept[IllegalArgumentException](
      WeightMatrix.of(WeightType.BF16, 10, 10, ByteBuffer.allocate(199)))
    assert(short.getMessage.contains("10 x 10") && short.getMessage.contains("199"))
    val large = intercept[IllegalArgumentException](
      WeightMatrix.of(WeightType.F32, 1 << 20, 1 << 12, ByteBuffer.allocate(0)))
    assert(large.getMessage.contains("1048576 x 4096"))
    assertThrows[IllegalArgumentException](
      WeightMatrix.of(WeightType.INT8, 1, 1, ByteBuffer.allocate(64)))
    val w = matrix(WeightType.F32, 1, 1, Array(1f))
    assertThrows[IllegalArgumentException](w.quantise(WeightType.BF16))
    assertThrows[IllegalArgumentException](w.quantise(WeightType.INT8).quantise(WeightType.INT8))
  }
}
