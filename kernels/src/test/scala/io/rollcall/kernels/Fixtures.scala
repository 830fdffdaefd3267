package io.rollcall.kernels

import java.nio.{ByteBuffer, ByteOrder}

import scala.util.Random

/** Random matrices, activations and row lists, all from a seed. */
object Fixtures {
  val widths: Seq[Int] = Seq(1, 7, 31, 33, 64, 100, 128, 200)
  val types: Seq[WeightType] = WeightType.values().toSeq

  def pick[A](random: Random, from: Seq[A]): A = from(random.nextInt(from.size))

  def floats(random: Random, n: Int): Array[Float] =
    Array.fill(n)(random.nextGaussian().toFloat)

  def bytes(kind: WeightType, values: Array[Float]): ByteBuffer = {
    val buffer =
      ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN)
    values.foreach { value =>
      kind match {
        case WeightType.F32 => buffer.putFloat(value)
        case WeightType.F16 => buffer.putShort(Float16.fromFloat(value).toShort)
        case _ => buffer.putShort((java.lang.Float.floatToRawIntBits(value) >>> 16).toShort)
      }
    }
    buffer.flip()
    buffer
  }

  def matrix(kind: WeightType, rows: Int, columns: Int, values: Array[Float]): WeightMatrix =
    if (kind.quantised) matrix(WeightType.BF16, rows, columns, values).quantise(kind)
    else WeightMatrix.of(kind, rows, columns, bytes(kind, values))

  def matrix(random: Random, kind: WeightType, rows: Int, columns: Int): WeightMatrix =
    matrix(kind, rows, columns, floats(random, rows * columns))

  /** Each row with probability `density`. */
  def rows(random: Random, capacity: Int, density: Double): RowIndex =
    index(capacity, (0 until capacity).filter(_ => random.nextDouble() < density))

  def index(capacity: Int, rows: Seq[Int]): RowIndex = {
    val index = new RowIndex(capacity)
    rows.foreach(index.append)
    index
  }

  def entries(index: RowIndex): Seq[Int] = (0 until index.count).map(index.row)

  def bits(values: Array[Float]): Seq[Int] =
    values.toSeq.map(java.lang.Float.floatToRawIntBits)

  /** Rows [from, from + count) of an array of rows `width` wide. */
  def slice(values: Array[Float], width: Int, from: Int, count: Int = 1): Array[Float] =
    values.slice(from * width, (from + count) * width)

  def close(actual: Array[Float], expected: Array[Float], tolerance: Double): Boolean =
    actual.length == expected.length && actual.indices.forall { i =>
      math.abs(actual(i) - expected(i)) <= tolerance * (1 + math.abs(expected(i)))
    }
}
