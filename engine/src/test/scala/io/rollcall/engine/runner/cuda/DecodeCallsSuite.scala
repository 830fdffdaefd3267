package io.rollcall.engine.runner.cuda

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.runner.{DecodeSequence, DecodeStep}
import io.rollcall.engine.sampling.RandomStream

/** Which sequences a step that runs ahead belongs to. Needs no device. */
class DecodeCallsSuite extends AnyFunSuite {
  private val stream = new RandomStream(1, "test")

  private def sequence(slot: Int, token: Int, step: Int, remaining: Int) =
    new DecodeSequence(slot, token, 10 + step, stream, step, remaining)

  private val first = Seq(sequence(4, 40, 0, 5), sequence(5, 50, 0, 1), sequence(6, 60, 0, 5), sequence(7, 70, 0, 5))

  private def after(rows: Int, sequences: Seq[DecodeSequence], rowOf: Array[Int], tokens: Array[Int]) =
    DecodeCalls.after(rows, sequences.asJava, rowOf, tokens, java.util.Set.of(Integer.valueOf(2)))

  private val second = after(4, first, Array(0, 1, 2, 3), Array(41, 51, 2, 71))

  test("after a step its sequences stand one further, without those that ended by token or length") {
    assert(second.toSeq === Seq(sequence(4, 41, 1, 4), null, null, sequence(7, 71, 1, 4)))
  }

  test("a step is found whatever the order, and new sequences have no row in it") {
    val wanted = Seq(sequence(5, 90, 0, 9), sequence(7, 71, 1, 4), sequence(4, 41, 1, 4))
    val rowOf = DecodeCalls.rowsOf(second, wanted.asJava)
    assert(rowOf === Array(-1, 3, 0))
    assert(after(4, wanted, rowOf, Array(DecodeStep.NONE, 72, 42)).toSeq ===
      Seq(sequence(4, 42, 2, 3), null, null, sequence(7, 72, 2, 3)))
  }

  test("a step with another token, without one of its sequences, or with none left, is not taken") {
    def rowsOf(wanted: DecodeSequence*) = DecodeCalls.rowsOf(second, wanted.asJava)
    assert(rowsOf(sequence(4, 41, 1, 4), sequence(7, 99, 1, 4)) === null)
    assert(rowsOf(sequence(4, 41, 1, 4)) === null)
    assert(rowsOf(sequence(4, 41, 1, 4), sequence(7, 71, 1, 1)) === null)
    assert(DecodeCalls.rowsOf(new Array[DecodeSequence](2), Seq(sequence(4, 41, 1, 4)).asJava) === null)
  }

  test("what rows left is put in the sequences' order, in every step and layer") {
    // two records of two numbers and four rows each
    val records = Array(1, 2, 10, 11, 12, 13, 3, 4, 20, 21, 22, 23)
    assert(DecodeCalls.inOrder(records, Array(3, -1, 0), 6, 2, 0).toSeq ===
      Seq(1, 2, 13, 0, 10, 13, 3, 4, 23, 0, 20, 23))
  }
}
