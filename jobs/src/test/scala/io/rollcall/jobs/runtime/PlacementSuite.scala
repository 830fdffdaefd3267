package io.rollcall.jobs.runtime

import java.util.concurrent.{CountDownLatch, FutureTask, TimeUnit}
import java.util.{List => JavaList}

import scala.jdk.CollectionConverters._

import io.rollcall.engine.UserException
import io.rollcall.engine.runner.Backend
import io.rollcall.kernels.cuda.CudaDevice
import org.scalatest.funsuite.AnyFunSuite

class PlacementSuite extends AnyFunSuite {
  import PlacementSuite._

  test("auto takes devices where there are some, else the CPU, and says why") {
    val found = Placement.of(BackendChoice.AUTO, devices(2), "")
    assert(found.backend == Backend.CUDA && found.why == "2 devices, Test 9.0")
    val none = Placement.of(BackendChoice.AUTO, devices(0), "no libcuda.so.1")
    assert(none.backend == Backend.CPU && none.why == "no libcuda.so.1")
    val old = Placement.of(BackendChoice.AUTO, JavaList.of(device(0, 7)), "")
    assert(old.backend == Backend.CPU && old.why.contains("compute capability 7.0"))
  }

  test("cuda without a device is one line that says why and what to do") {
    val none = intercept[UserException](
      Placement.of(BackendChoice.CUDA, devices(0), "libcuda.so.1 was not found.\n")).getMessage
    assert(none.startsWith("--backend cuda: libcuda.so.1 was not found; "))
    assert(none.contains("--backend cpu") && none.linesIterator.size == 1)
    // skipping the old one would give its neighbours other ordinals than Spark's addresses
    val mixed = intercept[UserException](
      Placement.of(BackendChoice.CUDA, JavaList.of(device(0, 9), device(1, 7)), "")).getMessage
    assert(mixed.contains("device 1") && mixed.contains("CUDA_VISIBLE_DEVICES"))
  }

  private val none = JavaList.of[String]()
  private val giveUp: Runnable = () => throw new IllegalStateException("no device is free")

  test("tasks without addresses take the devices in turn, one task a device") {
    val pool = new DevicePool(JavaList.of("GPU-a", "GPU-b", "GPU-c"), 1)
    assert(Seq.fill(3)(pool.take(none, giveUp)) == Seq(1, 2, 0))
    intercept[IllegalStateException](pool.take(none, giveUp))
    pool.giveBack(2)
    assert(pool.take(none, giveUp) == 2)
  }

  test("a task waits for a device until another gives it back") {
    val pool = new DevicePool(JavaList.of("GPU-a", "GPU-b"), 0)
    Seq.fill(2)(pool.take(none, giveUp))
    val waits = new CountDownLatch(1)
    val waiting = new FutureTask[Int](() => pool.take(none, () => waits.countDown()))
    new Thread(waiting).start()
    waits.await()
    assert(!waiting.isDone)
    pool.giveBack(1)
    assert(waiting.get(10, TimeUnit.SECONDS) == 1)
  }

  test("an address is an ordinal or a UUID; another is refused by name") {
    val pool = new DevicePool(JavaList.of("GPU-aa01", "GPU-bb02"), 0)
    assert(pool.take(JavaList.of("1"), giveUp) == 1)
    assert(pool.take(JavaList.of("0", "1"), giveUp) == 0)
    assert(pool.take(JavaList.of("0"), giveUp) == 0)
    assert(pool.take(JavaList.of("GPU-BB02"), giveUp) == 1)
    assert(pool.take(JavaList.of("bb02"), giveUp) == 1)
    val unknown = intercept[UserException](pool.take(JavaList.of("2"), giveUp)).getMessage
    assert(unknown.contains("'2'") && unknown.contains("0, 1"))
  }
}

object PlacementSuite {
  def device(ordinal: Int, major: Int): CudaDevice = new CudaDevice(
    ordinal, s"Test $major.0", s"GPU-$ordinal", major, 0, 8, 1L << 30, 1L << 20, 1 << 16, 13000)

  /** Devices that are not there. */
  def devices(count: Int): JavaList[CudaDevice] = (0 until count).map(device(_, 9)).asJava
}
