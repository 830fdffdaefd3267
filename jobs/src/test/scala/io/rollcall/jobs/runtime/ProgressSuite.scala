package io.rollcall.jobs.runtime

import org.scalatest.funsuite.AnyFunSuite

class ProgressSuite extends AnyFunSuite {
  test("totals sum the latest word of each partition; a retried task starts over") {
    val board = new ProgressBoard
    board.open("run")
    board.report(new TaskProgress("run", 0, 10, 100, 0.2))
    board.report(new TaskProgress("run", 1, 5, 300, 0.4))
    board.report(new TaskProgress("run", 1, 2, 100, Double.NaN))
    board.report(new TaskProgress("another run", 0, 99, 99, 0.9))
    assert(board.totals("run") == new ProgressBoard.Totals(12, 200, 0.2))
    board.close("run")
    board.report(new TaskProgress("run", 0, 1, 1, 0.1))
    assert(board.totals("run").prompts == 0)
  }

  test("a line says what is done, how fast, what is left and how dense") {
    assert(
      ProgressPrinter.line(new ProgressBoard.Totals(250, 50000, 0.314), 1000, 60) ==
        "250 of 1,000 prompts, 50,000 tokens, 833 tokens/s, 3:00 left, union density 0.31")
    assert(
      ProgressPrinter.line(new ProgressBoard.Totals(0, 0, Double.NaN), 10, 1) ==
        "0 of 10 prompts, 0 tokens, 0 tokens/s")
  }
}
