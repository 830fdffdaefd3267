package io.rollcall.kernels.cuda

import java.nio.{ByteBuffer, ByteOrder}

import scala.jdk.CollectionConverters._
import scala.util.Random

import io.rollcall.kernels.cuda.PrefillTiles.Span
import org.scalatest.funsuite.AnyFunSuite

final class PrefillTilesSuite extends AnyFunSuite {
  test("tiles cover every query once, belong to one sequence each and end with the shortest") {
    val random = new Random(2)
    for (group <- 1 to 8; rows <- Seq(64, 128)) {
      var row = 0
      val spans = (0 until 1 + random.nextInt(6)).map { slot =>
        val span = new Span(slot, row, random.nextInt(300), 1 + random.nextInt(200))
        row += span.queries
        span
      }
      val tiles = PrefillTiles.cut(spans.asJava, group, rows).tiles.asScala.toSeq
      val covered = tiles.flatMap(t => (0 until t.queries).map(i => (t.slot, t.firstRow + i, t.firstPosition + i)))
      val wanted = spans.flatMap(s => (0 until s.queries).map(i => (s.slot, s.firstRow + i, s.firstPosition + i)))
      assert(covered.sorted == wanted.sorted)
      assert(tiles.forall(t => t.queries >= 1 && t.queries * group <= rows))
      val pages = tiles.map(t => (t.firstPosition + t.queries - 1) / 64)
      assert(pages == pages.sorted.reverse)
    }
  }

  test("tiles are large where there is work for every multiprocessor") {
    val long = Seq(new Span(0, 0, 0, 2048)).asJava
    assert(PrefillTiles.of(long, 4, 8, 132).rows == 128)
    val short = Seq(new Span(0, 0, 0, 512)).asJava
    assert(PrefillTiles.of(short, 4, 8, 132).rows == 64)
  }

  test("the list is never longer than its bound") {
    val random = new Random(3)
    for (_ <- 0 until 100) {
      val group = 1 + random.nextInt(8)
      val lengths = Seq.fill(1 + random.nextInt(20))(1 + random.nextInt(100))
      val rows = lengths.scan(0)(_ + _)
      val spans = lengths.indices.map(i => new Span(i, rows(i), 0, lengths(i)))
      val tiles = PrefillTiles.cut(spans.asJava, group, 64)
      assert(tiles.bytes <= PrefillTiles.maxBytes(rows.last, lengths.size, group))
    }
  }

  test("a tile is four little-endian ints") {
    val tiles = PrefillTiles.cut(Seq(new Span(3, 5, 7, 2)).asJava, 4, 64)
    val buffer = ByteBuffer.allocate(tiles.bytes).order(ByteOrder.LITTLE_ENDIAN)
    tiles.write(buffer)
    buffer.flip()
    assert(Seq.fill(4)(buffer.getInt) == Seq(3, 5, 7, 2))
    assertThrows[IllegalArgumentException](tiles.write(ByteBuffer.allocate(16)))
  }
}
