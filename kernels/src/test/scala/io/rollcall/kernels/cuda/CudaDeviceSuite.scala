package io.rollcall.kernels.cuda

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

class CudaDeviceSuite extends AnyFunSuite {
  test("a machine has devices, or says why not") {
    assert(CudaDevice.all().isEmpty == CudaDevice.whyNone().isPresent)
  }

  test("without a device, opening one fails with the reason") {
    assume(CudaDevice.all().isEmpty)
    val device = new CudaDevice(0, "a device", "GPU-0", 9, 0, 132, 1L << 36, 1L << 25, 232448, 13000)
    val error = intercept[CudaException](CudaContext.open(device))
    assert(error.getMessage == CudaDevice.whyNone().get())
  }

  test("a device says what it is") {
    assume(!CudaDevice.all().isEmpty)
    CudaDevice.all().asScala.zipWithIndex.foreach { case (device, i) =>
      info(device.toString)
      assert(device.ordinal() == i && device.name().nonEmpty && device.uuid().matches("GPU-[0-9a-f-]{36}"))
      assert(device.major() >= 3 && device.multiprocessors() > 0 && device.memoryBytes() > (1L << 30))
      assert(device.l2Bytes() > 0 && device.sharedBytesPerBlock() >= (48 << 10) && device.driverVersion() >= 12000)
    }
  }

  test("a driver that is too old is refused by its version") {
    assert(Driver.tooOld(11080).get() == "the NVIDIA driver is of CUDA 11.8; an NVIDIA driver of CUDA 12.0 or newer is needed")
    assert(Driver.tooOld(12000).isEmpty && Driver.tooOld(13000).isEmpty)
  }

  test("kernels that the driver is too old for are refused with what compiled them") {
    assume(!CudaDevice.all().isEmpty)
    val context = CudaContext.open(CudaDevice.all().get(0))
    try {
      val ptx = ".version 99.0\n.target sm_80\n.address_size 64\n\u0000".getBytes("US-ASCII")
      val message = intercept[CudaException](context.load("of another day", ptx)).getMessage
      info(message)
      assert(message.contains("cannot load the kernels 'of another day'") && message.contains(Fatbins.requirement()))
    } finally context.close()
  }

  test("a uuid reads as nvidia-smi prints it") {
    assert(Driver.uuidName(Array.tabulate(16)(i => (i * 17).toByte)) == "GPU-00112233-4455-6677-8899-aabbccddeeff")
  }

  test("running out of memory is told in MiB") {
    val error = new DeviceMemoryException("the weights", (5L << 30) + 1, 3L << 30, 80L << 30)
    assert(error.getMessage == "the weights needs 5121 MiB of device memory; 3072 MiB of 81920 MiB are free")
  }

  test("what a stream was given is told since it was last done, the last of it in full") {
    val shape = Launch.of(2, 32)
    val log = new Enqueued
    (1 to 70).foreach(i => log.add("kernel" + i, shape))
    assert(log.describe().startsWith("6 launches, then kernel7 [grid 2 x 1 x 1, 32 threads, 0 bytes shared], kernel8"))
    val mark = log.mark()
    log.add("a copy", null)
    log.doneTo(mark)
    assert(log.describe() == "a copy")
    log.doneTo(log.mark())
    assert(log.describe().isEmpty)
  }
}
