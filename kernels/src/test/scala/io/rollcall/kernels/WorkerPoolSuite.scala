package io.rollcall.kernels

import java.util.concurrent.atomic.{AtomicInteger, AtomicIntegerArray}

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

class WorkerPoolSuite extends AnyFunSuite {

  private def using[A](workers: Int)(body: WorkerPool => A): A = {
    val pool = new WorkerPool(workers)
    try body(pool)
    finally pool.close()
  }

  test("ranges cover every element once, at bounds that are multiples of the grain") {
    for (workers <- 1 to 4) using(workers) { pool =>
      for (n <- Seq(0, 1, 5, 16, 17, 100); grain <- Seq(1, 3, 16)) {
        val seen = new AtomicIntegerArray(n)
        val calls = new AtomicInteger
        pool.forRange(
          n,
          grain,
          (from, to) => {
            calls.incrementAndGet()
            assert(from % grain == 0 && (to % grain == 0 || to == n))
            (from until to).foreach(seen.incrementAndGet)
          })
        assert((0 until n).forall(seen.get(_) == 1), s"$workers workers, n $n, grain $grain")
        assert(calls.get <= workers)
      }
    }
  }

  test("what a range throws is thrown to the caller once all ranges are done, and the pool lives on") {
    using(3) { pool =>
      for (bad <- 0 until 3) {
        val finished = new AtomicInteger
        val thrown = intercept[IllegalStateException](
          pool.forRange(
            3,
            1,
            (from, _) =>
              if (from == bad) throw new IllegalStateException("range " + from)
              else finished.incrementAndGet()))
        assert(thrown.getMessage == "range " + bad)
        assert(finished.get == 2)
      }
      val sum = new AtomicInteger
      pool.forRange(3, 1, (from, _) => sum.addAndGet(from))
      assert(sum.get == 3)
    }
  }

  test("one worker runs everything on the caller and starts no thread") {
    // an earlier test's may still be ending
    val before = helperThreads
    using(1) { pool =>
      val caller = Thread.currentThread()
      pool.forRange(100, 1, (_, _) => assert(Thread.currentThread() eq caller))
      assert(helperThreads.subsetOf(before))
    }
  }

  test("thirty thousand small calls lose neither work nor a wake-up") {
    using(2) { pool =>
      val counts = new AtomicIntegerArray(2)
      for (call <- 1 to 30000) {
        pool.forRange(2, 1, (from, _) => counts.incrementAndGet(from))
        // now and then long enough for the helper to park
        if (call % 3000 == 0) Thread.sleep(2)
      }
      assert(counts.get(0) == 30000 && counts.get(1) == 30000)
    }
  }

  test("several pools work side by side, each with its own caller") {
    val total = new AtomicInteger
    val callers = (1 to 3).map { _ =>
      val thread = new Thread(() =>
        using(2) { pool =>
          for (_ <- 1 to 2000) pool.forRange(10, 1, (from, to) => total.addAndGet(to - from))
        })
      thread.start()
      thread
    }
    callers.foreach(_.join())
    assert(total.get == 3 * 2000 * 10)
  }

  test("a call from inside a range runs on the thread that makes it") {
    using(2) { pool =>
      val total = new AtomicInteger
      pool.forRange(2, 1, (_, _) => pool.forRange(5, 1, (from, to) => total.addAndGet(to - from)))
      assert(total.get == 10)
    }
  }

  test("close ends the threads and later calls are refused") {
    val pool = new WorkerPool(3)
    pool.forRange(3, 1, (_, _) => ())
    pool.close()
    val deadline = System.nanoTime() + 5000000000L
    while (helperThreads.nonEmpty && System.nanoTime() < deadline) Thread.sleep(5)
    assert(helperThreads.isEmpty)
    assertThrows[IllegalStateException](pool.forRange(3, 1, (_, _) => ()))
  }

  test("fewer than one worker is refused with the number given") {
    assert(intercept[IllegalArgumentException](new WorkerPool(0)).getMessage.contains("0"))
  }

  private def helperThreads: Set[Thread] =
    Thread.getAllStackTraces.keySet.asScala.filter(_.getName.startsWith("rollcall-worker")).toSet
}
