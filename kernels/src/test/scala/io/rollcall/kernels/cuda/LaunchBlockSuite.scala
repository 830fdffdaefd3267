package io.rollcall.kernels.cuda

import com.sun.jna.Pointer
import jcuda.driver.CUdeviceptr
import org.scalatest.funsuite.AnyFunSuite

class LaunchBlockSuite extends AnyFunSuite {
  private def block = new LaunchBlock(0x1234567890L)

  private def valueAt(block: LaunchBlock, i: Int): Pointer = new Pointer(block.parameters()).getPointer(8L * i)

  test("the configuration lies as the driver reads it") {
    val b = block
    b.shape(Launch.of(7, 8, 128).withShared(4096), false)
    val config = new Pointer(b.config())
    assert((0 until 7).map(i => config.getInt(4L * i)) == Seq(7, 8, 1, 128, 1, 1, 4096))
    assert(config.getLong(32) == 0x1234567890L)
    assert(config.getInt(48) == 0)
    b.shape(Launch.of(70000, 32), true)
    assert(config.getInt(0) == 70000 && config.getInt(24) == 0 && config.getInt(48) == 1)
    val attribute = config.getPointer(40)
    assert(attribute.getInt(0) == 6 && attribute.getInt(8) == 1)
    b.shape(Launch.of(8, 32).withCluster(4), true)
    assert(config.getInt(48) == 2)
    assert((0 until 4).map(i => attribute.getInt(72 + (if (i == 0) 0 else 4L + 4 * i))) == Seq(4, 4, 1, 1))
    b.shape(Launch.of(8, 32).withCluster(4), false)
    assert(config.getInt(48) == 1 && attribute.getInt(0) == 4 && attribute.getInt(8) == 4)
  }

  test("the memory that L2 is to keep lies as the driver reads it") {
    val window = new Pointer(block.window(new DeviceBuffer(null, new CUdeviceptr, 4096).slice(256, 1024)))
    assert(window.getLong(0) == 256 && window.getLong(8) == 1024)
    assert(window.getFloat(16) == 1 && window.getInt(20) == 2 && window.getInt(24) == 0)
  }

  test("each parameter's address leads to its value") {
    val b = block
    b.arguments("k", null, Int.box(-5), Long.box(1L << 40), Float.box(1.5f), null)
    assert(valueAt(b, 0).getInt(0) == -5)
    assert(valueAt(b, 1).getLong(0) == (1L << 40))
    assert(valueAt(b, 2).getFloat(0) == 1.5f)
    assert(valueAt(b, 3).getLong(0) == 0)
  }

  test("arguments that belong together go as one array") {
    val b = block
    b.arguments("k", Array(4, 8, 4, 8, 4), Int.box(1), Array[AnyRef](Long.box(2), Array[AnyRef](Int.box(3)), null), Int.box(5))
    assert((0 until 5).map(i => valueAt(b, i).getInt(0)) == Seq(1, 2, 3, 0, 5))
    assert(intercept[IllegalArgumentException](b.arguments("k", Array(4), Array[AnyRef](Int.box(1), Int.box(2)))).getMessage
      == "kernel k takes 1 arguments, got 2")
  }

  test("as many arguments as there is room for go, one more does not") {
    val b = block
    val most = Seq.tabulate(LaunchBlock.MAX_ARGUMENTS)(i => Int.box(i))
    b.arguments("k", null, most: _*)
    assert(most.indices.forall(i => valueAt(b, i).getInt(0) == i))
    intercept[IllegalArgumentException](b.arguments("k", null, most :+ Int.box(1): _*))
  }

  test("arguments of another number, size or class are refused by the kernel's name") {
    def refused(sizes: Array[Int], arguments: AnyRef*): String =
      intercept[IllegalArgumentException](block.arguments("norm", sizes, arguments: _*)).getMessage
    assert(refused(Array(8, 4), Long.box(1)) == "kernel norm takes 2 arguments, got 1")
    assert(refused(Array(8, 4), Long.box(1), Long.box(2)) ==
      "kernel norm: argument 1 has 8 bytes (2), the kernel takes 4")
    assert(refused(null, Double.box(1)).contains("argument 0 is a java.lang.Double"))
  }

  test("a shape that no device takes is refused") {
    intercept[IllegalArgumentException](Launch.of(0, 32))
    intercept[IllegalArgumentException](Launch.of(1, 1025))
    intercept[IllegalArgumentException](Launch.of(1, 70000, 32))
    intercept[IllegalArgumentException](Launch.of(6, 32).withCluster(4))
    assert(Launch.of(3, 64).grid(1, 2, 3).withShared(100).withOverlap() == new Launch(1, 2, 3, 64, 100, true, 0))
  }
}
