package io.rollcall.engine.generation

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.sampling.RandomStream

class SchedulerSuite extends AnyFunSuite {

  private def sequences(lengths: Int*): java.util.Iterator[Sequence] =
    lengths.zipWithIndex.map { case (n, i) =>
      new Sequence(i.toString, new Array[Int](n), new RandomStream(0, "x"))
    }.iterator.asJava

  /** As many tokens of prompts as there is room for. */
  private class Room(var free: Int) extends Scheduler.Cache[Sequence] {
    private val held = scala.collection.mutable.Map.empty[Int, Int]
    override def reserve(slot: Int, sequence: Sequence): Boolean = {
      val fits = sequence.prompt.length <= free
      if (fits) {
        assert(held.put(slot, sequence.prompt.length).isEmpty)
        free -= sequence.prompt.length
      }
      fits
    }
    override def release(slot: Int): Unit = free += held.remove(slot).get
  }

  private def atOnce(source: java.util.Iterator[Sequence], slots: Int, room: Room) =
    new Scheduler[Sequence](source, slots, room, _ => 1)

  private def lengths(admitted: java.util.List[Sequence]): Seq[Int] =
    admitted.asScala.map(_.prompt.length).toSeq

  test("the longest waiting prompt is admitted first, with those nearest to it in length") {
    val scheduler = atOnce(sequences(10, 100, 12, 90, 11, 13), 3, new Room(1000))
    assert(lengths(scheduler.admit()) === Seq(10, 11, 12))
    assert(scheduler.admit().isEmpty, "no slot is free")
    scheduler.running.asScala.toSeq.foreach(scheduler.release)
    assert(lengths(scheduler.admit()) === Seq(100, 90, 13))
    scheduler.running.asScala.toSeq.foreach(scheduler.release)
    assert(scheduler.admit().isEmpty && scheduler.idle)
  }

  test("a slot that falls free is given to the next prompt, and no two share one") {
    val scheduler = atOnce(sequences(Seq.fill(50)(4): _*), 4, new Room(1000))
    var seen = Set.empty[String]
    val random = new scala.util.Random(1)
    while (!scheduler.idle) {
      seen ++= scheduler.admit().asScala.map(_.id)
      val running = scheduler.running.asScala.toSeq
      assert(running.map(_.slot).distinct.size === running.size)
      assert(running.size === math.min(4, 50 - (seen.size - running.size)))
      scheduler.release(running(random.nextInt(running.size)))
    }
    assert(seen.size === 50)
  }

  test("a sequence waits for room in the cache, and none goes before the longest waiting") {
    val scheduler = atOnce(sequences(60, 50, 30, 58), 4, new Room(100))
    assert(lengths(scheduler.admit()) === Seq(60))
    assert(scheduler.admit().isEmpty, "50 waits longest and does not fit")
    scheduler.release(scheduler.running.get(0))
    assert(lengths(scheduler.admit()) === Seq(50))
    scheduler.release(scheduler.running.get(0))
    assert(lengths(scheduler.admit()) === Seq(30, 58))
  }

  test("slots are filled when enough are free, or all that wait fit, or nothing runs") {
    val scheduler = new Scheduler[Sequence](sequences(Seq.fill(9)(4): _*), 4, new Room(1000), _ => 3)
    def end(): Unit = scheduler.release(scheduler.running.get(0))
    assert(scheduler.admit().size === 4)
    end()
    assert(scheduler.admit().isEmpty)
    end()
    assert(scheduler.admit().isEmpty)
    end()
    assert(scheduler.admit().size === 3)
    end()
    assert(scheduler.admit().isEmpty, "two wait, and one slot is free")
    end()
    assert(scheduler.admit().size === 2 && scheduler.running.size === 4)
    (1 to 4).foreach(_ => end())
    assert(scheduler.idle)
    val lone = new Scheduler[Sequence](sequences(4, 4), 1, new Room(1000), _ => 3)
    assert(lone.admit().size === 1)
    lone.release(lone.running.get(0))
    assert(lone.admit().size === 1, "nothing runs")
  }
}
