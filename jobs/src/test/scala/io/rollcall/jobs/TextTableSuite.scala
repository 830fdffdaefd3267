package io.rollcall.jobs

import org.scalatest.funsuite.AnyFunSuite

import scala.jdk.CollectionConverters._

class TextTableSuite extends AnyFunSuite {
  test("cells wrap at words and end in an ellipsis") {
    assert(TextTable.wrap("one two three four", 9, 3).asScala == Seq("one two", "three", "four"))
    assert(TextTable.wrap("one two three four", 9, 2).asScala == Seq("one two", "three…"))
    assert(TextTable.wrap("abcdefghijkl", 5, 9).asScala == Seq("abcde", "fghij", "kl"))
    assert(TextTable.wrap("", 5, 2).asScala == Seq(""))
  }

  test("no line is wider than the columns") {
    val table = new TextTable(
      2, new TextTable.Column("Text", 20, false), new TextTable.Column("N", 6, true))
    table.row("a rather long text that cannot fit into one line", "1,234")
    assert(table.toString.linesIterator.forall(_.length <= 2 + 20 + 2 + 6))
  }
}
