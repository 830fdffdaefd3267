package io.rollcall.kernels.cuda

import java.nio.{ByteBuffer, ByteOrder}

import org.scalatest.funsuite.AnyFunSuite

class CudaStreamSuite extends AnyFunSuite with DeviceFixture {
  private lazy val add: CudaKernel = {
    TestKernels.load(context)
    context.kernel("add")
  }

  private def addNow(buffer: DeviceBuffer, what: Int, shape: Launch = Launch.of(1, 64)): Unit =
    stream.launch(add, shape, buffer, Int.box(64), Int.box(what), Float.box(0))

  test("what is uploaded comes back, from any offset to any offset") {
    onDevice {
      val host = ByteBuffer.allocateDirect(400).order(ByteOrder.LITTLE_ENDIAN)
      (0 until 100).foreach(i => host.putInt(i * 4, i))
      val buffer = zeros(400)
      host.position(40).limit(80)
      stream.upload(buffer.slice(100, 300), 100, host)
      stream.synchronize()
      assert(host.position() == 40)
      assert(ints(buffer, 100).toSeq == Seq.fill(50)(0) ++ (10 until 20) ++ Seq.fill(40)(0))
      stream.copy(buffer, 0, buffer, 200, 40)
      stream.zero(buffer, 200, 40)
      assert(ints(buffer, 100).toSeq == (10 until 20) ++ Seq.fill(90)(0))
    }
  }

  test("floats and f16 survive the fixture") {
    onDevice {
      val values = Array(0f, -1.5f, 3.140625f, 1e30f)
      assert(floats(upload(values), 4).toSeq == values.toSeq)
      assert(f16s(uploadF16(values), 4).toSeq == values.map(DeviceFixture.rounded).toSeq)
    }
  }

  test("allocations are aligned to 256 bytes, and a range outside of them is refused") {
    onDevice {
      assert(Seq(1L, 100L, 257L).map(allocate).forall(_.address() % 256 == 0))
      val buffer = allocate(100)
      intercept[IndexOutOfBoundsException](buffer.slice(50, 51))
      intercept[IndexOutOfBoundsException](stream.zero(buffer, 1, 100))
    }
  }

  test("memory that is not there is asked for by name and size") {
    onDevice {
      val error = intercept[DeviceMemoryException](context.allocate("the weights of layer 3", 1L << 50))
      assert(error.getMessage.contains("the weights of layer 3 needs 1073741824 MiB"))
      assert(error.free() > 0 && error.free() <= error.total())
      assert(!context.faulted())
    }
  }

  test("kernels run in order, overlapping ones too") {
    onDevice {
      val buffer = uploadInts(Array.range(0, 64))
      (1 to 100).foreach(i => addNow(buffer, i))
      assert(ints(buffer, 64).toSeq == Seq.range(5050, 5114))
    }
  }

  test("arguments that the kernel does not take are refused where the driver can tell") {
    onDevice {
      assume(context.device().driverVersion() >= 12040)
      val buffer = allocate(256)
      intercept[IllegalArgumentException](stream.launch(add, Launch.of(1, 1), buffer))
      intercept[IllegalArgumentException](
        stream.launch(add, Launch.of(1, 1), buffer, Long.box(64), Int.box(1), Float.box(0)))
    }
  }

  test("a graph does its work at each launch and none at its capture") {
    onDevice {
      val buffer = zeros(256)
      val graph = stream.capture("sums", () => (1 to 10).foreach(i => addNow(buffer, i, Launch.of(1, 64).withOverlap())))
      try {
        assert(graph.kernels() == 10)
        assert(ints(buffer, 64).forall(_ == 0))
        (1 to 3).foreach(_ => graph.launch(stream))
        assert(ints(buffer, 64).forall(_ == 165))
      } finally graph.close()
    }
  }

  test("a capture that fails leaves the stream usable") {
    onDevice {
      val buffer = zeros(256)
      intercept[IllegalStateException](stream.capture(() => stream.synchronize()))
      addNow(buffer, 7)
      assert(ints(buffer, 64).forall(_ == 7))
    }
  }

  test("a kernel may have more than 48 KiB of shared memory, up to what the device gives") {
    onDevice {
      val buffer = zeros(256)
      val most = context.device().sharedBytesPerBlock()
      addNow(buffer, 1, Launch.of(1, 64).withShared(most))
      assert(ints(buffer, 64).forall(_ == 1))
      intercept[IllegalArgumentException](addNow(buffer, 1, Launch.of(1, 64).withShared(most + 1)))
      assert(add.blocksPerMultiprocessor(64, most) == 1)
      assert(add.blocksPerMultiprocessor(64, 0) > 1)
    }
  }

  test("events time what lies between them, from any thread") {
    onDevice {
      val buffer = zeros(1 << 20)
      val from = context.newEvent()
      val to = context.newEvent()
      from.record(stream)
      (1 to 50).foreach(_ => stream.zero(buffer, 0, buffer.bytes()))
      to.record(stream)
      var millis = 0f
      val thread = new Thread(() => { to.synchronize(); millis = CudaEvent.millis(from, to) })
      thread.start()
      thread.join()
      assert(millis > 0 && millis < 1000)
      from.close()
      to.close()
    }
  }

  test("an event holds back another stream") {
    onDevice {
      val buffer = zeros(256)
      val other = context.newStream()
      val event = context.newEvent()
      try {
        (1 to 100).foreach(i => addNow(buffer, i))
        event.record(stream)
        other.waitFor(event)
        other.launch(add, Launch.of(1, 64), buffer, Int.box(64), Int.box(1), Float.box(0))
        other.synchronize()
        assert(ints(buffer, 64).forall(_ == 5051))
      } finally {
        event.close()
        other.close()
      }
    }
  }

  test("a kernel that no module has is refused by name") {
    onDevice {
      assert(intercept[IllegalArgumentException](context.kernel("no_such")).getMessage.contains("no_such"))
    }
  }

  test("two contexts live side by side") {
    onDevice {
      val second = CudaContext.open(context.device())
      try {
        val theirs = second.newStream()
        val buffer = second.allocate("theirs", 256)
        theirs.zero(buffer, 0, 256)
        val ours = zeros(256)
        addNow(ours, 3)
        theirs.synchronize()
        assert(ints(ours, 64).forall(_ == 3))
        intercept[IllegalArgumentException](
          theirs.launch(add, Launch.of(1, 64), buffer, Int.box(64), Int.box(1), Float.box(0)))
      } finally second.close()
      intercept[IllegalStateException](second.freeBytes())
      assert(context.freeBytes() > 0)
    }
  }
}
