package io.rollcall.kernels.cuda

import scala.util.Random

import io.rollcall.kernels.WeightType

/** Random weights of a device matrix, with the values that its elements stand for. */
final case class DeviceWeights(matrix: DeviceMatrix, values: Array[Float]) {
  def apply(row: Int, column: Int): Float = values(row * matrix.columns + column)

  /** A matrix with each of so many equal parts of the rows as often as that: large, and soon computed. */
  def repeated(fixture: DeviceFixture, parts: Int, times: Int): DeviceMatrix = {
    if (times == 1) return matrix
    def repeat(from: DeviceBuffer, bytes: Long): DeviceBuffer = {
      val to = fixture.allocate(bytes * times)
      val part = bytes / parts
      for (p <- 0 until parts; t <- 0 until times)
        fixture.stream.copy(to, (p * times + t) * part, from, p * part, part)
      to
    }
    val (kind, rows, columns) = (matrix.`type`, matrix.rows, matrix.columns)
    val scales = if (matrix.scales == null) null else repeat(matrix.scales, DeviceMatrix.scaleBytes(kind, rows, columns))
    new DeviceMatrix(kind, rows * times, columns, repeat(matrix.elements, DeviceMatrix.elementBytes(kind, rows, columns)), scales)
  }
}

object DeviceWeights {

  /** Normal weights of this deviation, packed here as DeviceMatrix's Javadoc has it. */
  def random(fixture: DeviceFixture, random: Random, kind: WeightType, rows: Int, columns: Int, deviation: Float): DeviceWeights = {
    if (kind == WeightType.F16) {
      val values = Array.fill(rows * columns)(DeviceFixture.rounded(deviation * random.nextGaussian().toFloat))
      return DeviceWeights(new DeviceMatrix(kind, rows, columns, fixture.uploadF16(values), null), values)
    }
    val most = if (kind == WeightType.INT8) 127 else 7
    val groups = rows * columns / 32
    val q = Array.fill(rows * columns)(random.nextInt(2 * most + 1) - most)
    // scales that f16 holds exactly
    val scales = Array.fill(groups)(DeviceFixture.rounded(deviation * (0.5f + random.nextFloat()) / most))
    val halves = scales.map(s => java.lang.Float.floatToIntBits(s)).map(halfBits)
    val bytes = if (kind == WeightType.INT8) packInt8(q) else packInt4(q)
    val scaleBytes = halves.flatMap(h => Array((h & 0xff).toByte, (h >> 8 & 0xff).toByte))
    val values = Array.tabulate(rows * columns)(i => q(i) * scales(i / 32))
    DeviceWeights(new DeviceMatrix(kind, rows, columns, fixture.uploadBytes(bytes), fixture.uploadBytes(scaleBytes)), values)
  }

  /** f16 bits of a normal f32 whose mantissa fits. */
  private def halfBits(bits: Int): Int = {
    val exponent = (bits >> 23 & 0xff) - 127 + 15
    require(exponent > 0 && exponent < 31, s"exponent $exponent")
    (bits >>> 31) << 15 | exponent << 10 | (bits >> 13 & 0x3ff)
  }

  /** The byte that element `at` of rows of whole groups is. */
  def int8Place(at: Int): Int = {
    val column = at % 16
    at - column + column % 8 / 2 * 4 + column % 2 * 2 + column / 8
  }

  /** The nibble, two to a byte, the lower first, that element `at` is. */
  def int4Place(at: Int): Int = {
    val column = at % 32
    at - column + column % 8 / 2 * 8 + column % 2 * 4 + column / 8
  }

  private def packInt8(q: Array[Int]): Array[Byte] = {
    val bytes = new Array[Byte](q.length)
    q.indices.foreach(i => bytes(int8Place(i)) = q(i).toByte)
    bytes
  }

  private def packInt4(q: Array[Int]): Array[Byte] = {
    val bytes = new Array[Byte](q.length / 2)
    for (i <- q.indices) {
      val nibble = int4Place(i)
      bytes(nibble / 2) = (bytes(nibble / 2) | (q(i) + 8) << (nibble % 2 * 4)).toByte
    }
    bytes
  }
}
