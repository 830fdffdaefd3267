package io.rollcall.kernels.cuda

import scala.util.Using

import org.scalatest.funsuite.AnyFunSuite

class StepMemorySuite extends AnyFunSuite with DeviceFixture {
  test("what is asked for lies side by side, and is ordinary memory when there is no more room") {
    onDevice(Using.Manager { keep =>
      val memory = keep(new StepMemory(context))
      val first = memory.allocate("the first", 100)
      val second = memory.allocate("the second", 1000)
      assert(first.bytes() == 100 && second.bytes() == 1000)
      assert(second.address() == first.address() + 256)
      val more = keep(memory.allocate("more than L2", context.device().l2Bytes()))
      assert(more.address() >= second.address() + 1000 || more.address() + more.bytes() <= first.address())
      assert(memory.allocate("the third", 4).address() == second.address() + 1024)
      intercept[IllegalArgumentException](memory.allocate("nothing", 0))
    }.get)
  }

  test("kernels compute the same with what L2 keeps, in a graph too, and with memory beside it") {
    onDevice(Using.Manager { keep =>
      TestKernels.load(context)
      val memory = keep(new StepMemory(context))
      val buffer = memory.allocate("numbers", 4 * 64)
      val beside = zeros(4 * 64)
      val keeping = keep(context.newStream())
      assert(memory.keep(keeping) == (context.device().major() >= 8))
      def add(to: DeviceBuffer, what: Int): Unit =
        keeping.launch(context.kernel("add"), Launch.of(1, 64), to, Int.box(64), Int.box(what), Float.box(0))
      keeping.zero(buffer, 0, 4 * 64)
      add(buffer, 3)
      val graph = keep(keeping.capture("a step", () => {
        add(buffer, 5)
        add(beside, 7)
      }))
      graph.launch(keeping)
      graph.launch(keeping)
      keeping.copy(beside, 0, buffer, 0, 4 * 32)
      keeping.synchronize()
      assert(ints(beside, 64).toSeq == Seq.fill(32)(13) ++ Seq.fill(32)(14))
    }.get)
  }
}
