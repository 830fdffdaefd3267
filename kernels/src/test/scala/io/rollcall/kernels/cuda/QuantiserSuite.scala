package io.rollcall.kernels.cuda

import java.nio.ByteBuffer

import scala.util.Random

import io.rollcall.kernels.{Fixtures, WeightMatrix, WeightType}
import org.scalatest.funsuite.AnyFunSuite

class QuantiserSuite extends AnyFunSuite with DeviceFixture {
  private lazy val quantiser = new Quantiser(context)

  /** Element (r, c) as an integer, from the device's layout. */
  private def element(kind: WeightType, stored: Array[Byte], at: Int): Int =
    if (kind == WeightType.INT8) stored(DeviceWeights.int8Place(at))
    else {
      val nibble = DeviceWeights.int4Place(at)
      (stored(nibble / 2) >> (nibble % 2 * 4) & 15) - 8
    }

  /** Weights of several sizes, with a group of zeros, ties and a group whose scale is subnormal. */
  private def weights(random: Random, rows: Int, columns: Int): Array[Float] = {
    val values = Fixtures.floats(random, rows * columns)
    values.indices.foreach(i => values(i) *= math.pow(10, i / 32 % 5 - 4).toFloat)
    for (i <- 0 until 32) {
      values(i) = 0f
      values(32 + i) = i - 16f + 0.5f
      values(rows * columns - 1 - i) *= 1e-6f
    }
    values
  }

  private def uploaded(kind: WeightType, values: Array[Float]): DeviceBuffer = {
    val size = if (kind == WeightType.F32) 4 else 2
    uploadBytes(Fixtures.bytes(kind, values).array.take(size * values.length))
  }

  for (kind <- Seq(WeightType.INT8, WeightType.INT4); source <- Seq(WeightType.BF16, WeightType.F16, WeightType.F32))
    test(s"$kind of $source is what the CPU makes of it, to the bit, and so is its way back") {
      onDevice {
        val random = new Random(7)
        for ((rows, columns) <- Seq((1, 64), (3, 192), (65, 384), (40, 4096))) {
          val values = weights(random, rows, columns)
          val expected = Fixtures.matrix(source, rows, columns, values).quantise(kind)
          val matrix = new DeviceMatrix(
            kind, rows, columns,
            allocate(DeviceMatrix.elementBytes(kind, rows, columns)),
            allocate(DeviceMatrix.scaleBytes(kind, rows, columns)))
          quantiser.quantise(stream, source, uploaded(source, values), matrix)
          val back = allocate(2L * rows * columns)
          quantiser.dequantise(stream, matrix, back)
          stream.synchronize()
          val stored = bytes(matrix.elements, DeviceMatrix.elementBytes(kind, rows, columns).toInt)
          val scales = halves(matrix.scales, rows * columns / 32)
          val unpacked = f16s(back, rows * columns)
          for (i <- 0 until rows * columns) {
            val value = element(kind, stored, i) * scales(i / 32)
            val clue = s"$rows x $columns, element $i"
            assert(value == expected.get(i / columns, i % columns), clue)
            assert(unpacked(i) == DeviceFixture.rounded(value), clue)
          }
          if (rows > 2) {
            quantiser.dequantise(stream, matrix.rowRange(1, 2), back)
            stream.synchronize()
            assert(f16s(back, 2 * columns).sameElements(unpacked.slice(columns, 3 * columns)))
          }
          afterEach()
        }
      }
    }

  private def halves(buffer: DeviceBuffer, n: Int): Array[Float] = {
    val values = new Array[Float](n)
    WeightMatrix.of(WeightType.F16, 1, n, ByteBuffer.wrap(bytes(buffer, 2 * n))).row(0, values, 0)
    values
  }

  test("a matrix of a width the kernels cannot take is refused") {
    assertThrows[IllegalArgumentException](new DeviceMatrix(WeightType.F16, 4, 96, null, null))
    assertThrows[IllegalArgumentException](new DeviceMatrix(WeightType.F16, 4, 64, null, null))
    assert(DeviceMatrix.elementBytes(WeightType.INT4, 3, 128) == 192)
    assert(DeviceMatrix.scaleBytes(WeightType.INT4, 3, 128) == 24)
    assert(DeviceMatrix.scaleBytes(WeightType.F16, 3, 128) == 0)
  }
}
