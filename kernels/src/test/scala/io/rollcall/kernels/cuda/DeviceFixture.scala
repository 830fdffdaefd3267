package io.rollcall.kernels.cuda

import java.nio.{ByteBuffer, ByteOrder}
import java.util.stream.IntStream

import scala.collection.mutable.ArrayBuffer
import scala.util.Random

import io.rollcall.kernels.Float16
import org.scalatest.{BeforeAndAfterEach, Suite}
import org.scalatest.Assertions.{assert, cancel, fail}

/** Tests that need a device: they cancel where there is none. All suites share one context. What a
  * test uploads is freed after it.
  */
trait DeviceFixture extends BeforeAndAfterEach { this: Suite =>
  private val uploaded = ArrayBuffer.empty[DeviceBuffer]

  lazy val context: CudaContext = DeviceFixture.context
  lazy val stream: CudaStream = DeviceFixture.stream

  def onDevice(test: => Any): Any = {
    if (CudaDevice.all().isEmpty) cancel(CudaDevice.whyNone().get())
    test
  }

  override protected def afterEach(): Unit =
    try {
      uploaded.foreach(_.close())
      uploaded.clear()
    } finally super.afterEach()

  def allocate(bytes: Long): DeviceBuffer = {
    val buffer = context.allocate("a test's buffer", bytes)
    uploaded += buffer
    buffer
  }

  /** Zeroed memory. */
  def zeros(bytes: Long): DeviceBuffer = {
    val buffer = allocate(bytes)
    stream.zero(buffer, 0, bytes)
    stream.synchronize()
    buffer
  }

  private def upload(bytes: Int)(fill: ByteBuffer => Unit): DeviceBuffer = {
    val host = ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN)
    fill(host)
    host.clear()
    val buffer = allocate(bytes)
    stream.upload(buffer, 0, host)
    stream.synchronize()
    buffer
  }

  private def download(buffer: DeviceBuffer, bytes: Int): ByteBuffer = {
    val pinned = context.allocatePinned(bytes)
    try {
      stream.download(pinned, 0, buffer, 0, bytes)
      stream.synchronize()
      val copy = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN)
      copy.put(pinned.bytes()).flip()
      copy
    } finally pinned.close()
  }

  def upload(values: Array[Float]): DeviceBuffer =
    upload(values.length * 4)(_.asFloatBuffer().put(values))

  def uploadF16(values: Array[Float]): DeviceBuffer =
    upload(values.length * 2)(_.asShortBuffer().put(values.map(DeviceFixture.toF16)))

  def uploadInts(values: Array[Int]): DeviceBuffer =
    upload(values.length * 4)(_.asIntBuffer().put(values))

  def uploadBytes(values: Array[Byte]): DeviceBuffer = upload(values.length)(_.put(values))

  def floats(buffer: DeviceBuffer, n: Int): Array[Float] = {
    val values = new Array[Float](n)
    download(buffer, n * 4).asFloatBuffer().get(values)
    values
  }

  def f16s(buffer: DeviceBuffer, n: Int): Array[Float] = {
    val values = new Array[Short](n)
    download(buffer, n * 2).asShortBuffer().get(values)
    values.map(DeviceFixture.fromF16)
  }

  def ints(buffer: DeviceBuffer, n: Int): Array[Int] = {
    val values = new Array[Int](n)
    download(buffer, n * 4).asIntBuffer().get(values)
    values
  }

  def bytes(buffer: DeviceBuffer, n: Int): Array[Byte] = {
    val values = new Array[Byte](n)
    download(buffer, n).get(values)
    values
  }

  /** Every element within `absolute + relative * |expected|`; the first that is not is named. */
  def assertClose(actual: Array[Float], expected: Array[Float], absolute: Float, relative: Float): Unit = {
    assert(actual.length == expected.length)
    var i = 0
    while (i < actual.length) {
      val difference = math.abs(actual(i) - expected(i))
      if (!(difference <= absolute + relative * math.abs(expected(i)))) {
        fail(s"element $i of ${actual.length}: ${actual(i)} is not ${expected(i)}")
      }
      i += 1
    }
  }
}

object DeviceFixture {
  /** f of 0 to n - 1, by all processors: references take longer than what they check. */
  def tabulated(n: Int)(f: Int => Double): Array[Double] = IntStream.range(0, n).parallel().mapToDouble(f(_)).toArray

  lazy val context: CudaContext = CudaContext.open(CudaDevice.all().get(0))
  lazy val stream: CudaStream = context.newStream()

  /** Draws shapes: the same ones in each run, others with -Drollcall.seed. */
  def drawing: Random = new Random(Integer.getInteger("rollcall.seed", 12))

  /** The nearest f16, at most 65504 as on the device; values must be finite. */
  def toF16(value: Float): Short = Float16.fromFloat(math.max(-65504f, math.min(65504f, value))).toShort

  def fromF16(bits: Short): Float = Float16.toFloat(bits)

  /** The value that f16 keeps. */
  def rounded(value: Float): Float = fromF16(toF16(value))
}
