package io.rollcall.engine.generation

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.runner.{DecodeSequence, DecodeStep, ModelRunner, TokenBatch}
import io.rollcall.engine.statistics.SparsityCounters

class PassGroupingSuite extends AnyFunSuite {

  private def grouping(overhead: Int => Double, slots: Int, maxNewTokens: Int): PassGrouping =
    new PassGrouping(
      new ModelRunner {
        override def passOverhead(tokens: Int): Double = overhead(tokens)
        override def tokenCapacity: Int = 2048
        override def device: String = ???
        override def stepsPerCall: Int = ???
        override def reserve(slot: Int, positions: Int): Boolean = ???
        override def release(slot: Int): Unit = ???
        override def prefill(batch: TokenBatch): Array[Int] = ???
        override def decode(s: java.util.List[DecodeSequence], c: SparsityCounters): java.util.List[DecodeStep] = ???
        override def logits: Array[Float] = ???
        override def close(): Unit = ???
      },
      GenerationOptions.greedy(slots, maxNewTokens, 4096))

  /** What a prompt takes when k are prefilled together, in parts of a step, but for its tokens. */
  private def cost(overhead: Double, slots: Int, tokens: Double, k: Int): Double =
    overhead / k + tokens / (slots - k / 2.0)

  test("as many prompts are waited for as cost least together") {
    for {
      overhead <- Seq(0.4, 1.2, 2.7, 5.0)
      slots <- Seq(1, 4, 8, 32, 64)
      tokens <- Seq(8, 40, 200, 2000)
    } {
      val k = grouping(_ => overhead, slots, tokens).slots(1)
      val best = (1 to slots).minBy(cost(overhead, slots, tokens, _))
      assert(cost(overhead, slots, tokens, k) <= 1.02 * cost(overhead, slots, tokens, best), s"$k, $best of $slots")
      assert(k >= 1 && k <= slots)
    }
  }

  test("none is waited for where a pass of one costs nothing more, and no more than fill a pass") {
    assert(grouping(_ => 0, 64, 10).slots(100) === 1)
    val grouped = grouping(tokens => if (tokens > 1000) 3 else 2, 64, 10)
    assert(grouped.slots(100) === 20)
    assert(grouped.slots(500) === 4)
    assert(grouped.slots(4000) === 1)
  }

  test("answers that have ended tell how long answers are") {
    val grouped = grouping(_ => 1, 64, 1000)
    val before = grouped.slots(10)
    (1 to 1000).foreach(_ => grouped.answered(10))
    assert(before === 3 && grouped.slots(10) === 23)
  }
}
