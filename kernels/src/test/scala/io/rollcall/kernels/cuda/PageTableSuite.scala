package io.rollcall.kernels.cuda

import scala.collection.mutable
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

final class PageTableSuite extends AnyFunSuite {
  private def row(table: PageTable, slot: Int): Seq[Int] =
    (0 until table.maxPages).map(table.page(slot, _)).takeWhile(_ >= 0)

  test("a slot grows page by page and keeps what it holds") {
    val table = new PageTable(10, 2, 4)
    assert(table.reserve(0, 64))
    assert(table.reserved(0) == 64)
    val first = row(table, 0)
    assert(first.size == 1)
    assert(table.reserve(0, 1) && row(table, 0) == first)
    assert(table.reserve(0, 65))
    assert(row(table, 0).size == 2 && row(table, 0).head == first.head)
    assert(table.freePages == 8)
  }

  test("what does not fit is refused and changes nothing") {
    val table = new PageTable(3, 2, 4)
    assert(table.reserve(0, 128))
    assert(!table.reserve(1, 65))
    assert(table.reserved(1) == 0 && table.freePages == 1)
    assert(table.reserve(1, 64))
    table.release(0)
    assert(table.reserve(1, 129))
    assert(table.reserved(0) == 0 && row(table, 0).isEmpty)
  }

  test("more positions than a slot's row has pages is an error, not a refusal") {
    val table = new PageTable(100, 1, 2)
    assertThrows[IllegalArgumentException](table.reserve(0, 129))
    assertThrows[IndexOutOfBoundsException](table.reserve(1, 1))
  }

  test("no page is in two places and none is lost, whatever comes and goes") {
    val random = new Random(1)
    for (_ <- 0 until 50) {
      val pages = 1 + random.nextInt(30)
      val table = new PageTable(pages, 5, 12)
      for (_ <- 0 until 200) {
        val slot = random.nextInt(5)
        if (random.nextInt(4) == 0) table.release(slot)
        else {
          val positions = random.nextInt(12 * 64 + 1)
          val before = row(table, slot)
          val free = table.freePages
          val extra = (positions + 63) / 64 - before.size
          assert(table.reserve(slot, positions) == (extra <= free))
          assert(row(table, slot).startsWith(before))
        }
        val held = (0 until 5).flatMap(row(table, _))
        assert(held.distinct.size == held.size && held.size + table.freePages == pages)
        assert(held.forall(page => page >= 0 && page < pages))
      }
    }
  }

  test("changes say which part of which row is to be sent again, once") {
    val table = new PageTable(20, 3, 4)
    def changes(): Seq[(Int, Int, Int)] = {
      val seen = mutable.Buffer.empty[(Int, Int, Int)]
      table.drainChanges((slot, from, to) => seen += ((slot, from, to)))
      seen.toSeq
    }
    assert(changes() == Seq((0, 0, 4), (1, 0, 4), (2, 0, 4)))
    assert(changes().isEmpty)
    table.reserve(1, 64)
    table.reserve(1, 3 * 64)
    assert(changes() == Seq((1, 0, 3)))
    table.reserve(1, 4 * 64)
    assert(changes() == Seq((1, 3, 4)))
    table.release(1)
    table.reserve(2, 1)
    assert(changes() == Seq((1, 0, 4), (2, 0, 1)))
  }
}
