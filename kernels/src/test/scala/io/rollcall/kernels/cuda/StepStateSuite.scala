package io.rollcall.kernels.cuda

import java.nio.{ByteBuffer, ByteOrder}
import java.nio.file.{Files, Paths}

import org.scalatest.funsuite.AnyFunSuite

class StepStateSuite extends AnyFunSuite {
  private def buffer = ByteBuffer.allocate(StepState.BYTES + 8).order(ByteOrder.LITTLE_ENDIAN)

  /** Offset of each field, from the header's own text. */
  private lazy val offsets: Map[String, Int] = {
    val header = Files.readString(Paths.get(System.getProperty("rollcall.root", ".."), "kernels/src/main/cuda/step_state.cuh"))
    val field = """\s+(int|uint64_t) (\w+)(\[kMaxBatch\])?;.*""".r
    val fields = header.linesIterator.dropWhile(!_.startsWith("struct")).collect {
      case field(kind, name, array) =>
        name -> (if (kind == "int") 4 else 8) * (if (array == null) 1 else StepState.MAX_BATCH)
    }.toSeq
    fields.map(_._1).zip(fields.map(_._2).scanLeft(0)(_ + _)).toMap + ("end" -> fields.map(_._2).sum)
  }

  test("fields lie where the kernels' header puts them") {
    val expected = Map(
      "step" -> StepState.STEP,
      "batch" -> StepState.BATCH,
      "bucket" -> StepState.BUCKET,
      "reserved" -> 12,
      "random_key" -> StepState.RANDOM_KEY,
      "active" -> StepState.ACTIVE,
      "token" -> StepState.TOKEN,
      "position" -> StepState.POSITION,
      "slot" -> StepState.SLOT,
      "output_index" -> StepState.OUTPUT_INDEX,
      "remaining" -> StepState.REMAINING,
      "end" -> StepState.BYTES)
    assert(offsets == expected)
  }

  test("what is set for a sequence is read back, and counted at the beginning of a step") {
    val bytes = buffer
    val state = new StepState(bytes, 8)
    state.clear()
    for (b <- Seq(0, 2, 5)) state.set(b, -7L - b, 10 + b, 20 + b, 30 + b, 40 + b, 50 + b)
    state.deactivate(2)
    state.begin()
    assert((state.step, state.batch, state.bucket) == (0, 2, 1))
    assert((0 until StepState.MAX_BATCH).filter(state.active) == Seq(0, 5))
    assert(bytes.getLong(8 + StepState.RANDOM_KEY + 8 * 5) == -12)
    assert(
      Seq(state.token(5), state.position(5), state.slot(5), state.outputIndex(5), state.remaining(5)) ==
        Seq(15, 25, 35, 45, 55))
    assertThrows[IndexOutOfBoundsException](state.token(64))
  }

  test("a batch bucket holds up to a power of two") {
    assert(
      Seq(0, 1, 2, 3, 4, 5, 8, 9, 32, 33, 64).map(StepState.bucket) ==
        Seq(0, 0, 1, 2, 2, 3, 3, 4, 5, 6, 6))
  }
}
