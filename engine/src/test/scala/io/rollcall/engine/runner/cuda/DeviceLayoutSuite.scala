package io.rollcall.engine.runner.cuda

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.{RandomModels, UserException}
import io.rollcall.engine.sparsity.Crossover
import io.rollcall.kernels.WeightType
import io.rollcall.kernels.cuda.DeviceMemoryException

class DeviceLayoutSuite extends AnyFunSuite {
  private def config(hidden: Int = 256, intermediate: Int = 320, heads: Int = 4, kvHeads: Int = 2) =
    RandomModels.model(
      1, layers = 2, hidden = hidden, intermediate = intermediate, heads = heads, kvHeads = kvHeads).config

  private def refusal(config: io.rollcall.engine.model.ModelConfig): String =
    intercept[UserException](DeviceLayout.of("/m", config, WeightType.BF16)).getMessage

  test("shapes that the kernels do not cover are refused by name, with another way") {
    for ((wrong, found) <- Seq(
        config(intermediate = 100) -> "intermediate_size 100",
        config(hidden = 192, heads = 3, kvHeads = 3, intermediate = 32832) -> "intermediate_size 32832",
        config(heads = 8) -> "heads of 32 elements",
        config(hidden = 1152, heads = 18, kvHeads = 2) -> "9 query heads")) {
      val message = refusal(wrong)
      assert(message.contains("/m") && message.contains(found) && message.contains("--backend cpu"), message)
    }
  }

  test("bytes are those of the stacked matrices, the table and the norms") {
    val c = config()
    val (d, f, v) = (256L, 320L, c.vocabulary.toLong)
    val projections = (4 + 2 * 2) * 64 * d + d * d
    val dense = 2 * (2 * (projections + 3 * f * d) + 8 * d) + 2 * v * d + 4 * d
    assert(DeviceLayout.of("/m", c, WeightType.BF16).bytes === dense)
    def group(elements: Long) = elements * 2 / 32
    val int8 = DeviceLayout.of("/m", c, WeightType.INT4)
    assert(int8.projections === WeightType.INT8 && int8.ownHead)
    val ff = 3 * f * d
    val quantised = 2 * (projections + group(projections) + ff / 2 + group(ff) + 8 * d) +
      2 * v * d + v * d + group(v * d) + 4 * d
    assert(int8.bytes === quantised)
  }

  test("weights that a device has no room for are refused with what they need and what there is") {
    val layout = DeviceLayout.of("/m", config(), WeightType.INT8)
    val needed = layout.bytes + DeviceLoader.scratchBytes(layout)
    DeviceModel.requireRoom(layout, needed, 1L << 36)
    val message = intercept[DeviceMemoryException](DeviceModel.requireRoom(layout, 3L << 20, 1L << 36)).getMessage
    val mebibytes = (needed + (1 << 20) - 1) >> 20
    assert(message === s"its weights in int8 needs $mebibytes MiB of device memory; 3 MiB of 65536 MiB are free")
  }

  test("how many steps a call has follows from the weights alone") {
    assert(CudaModelRunner.stepsPerCall(40L << 20) === 8)
    assert(CudaModelRunner.stepsPerCall(16L << 30) === 1)
  }

  test("a pass of quantised weights or of few tokens takes most beyond its tokens") {
    for (weights <- Seq(WeightType.F16, WeightType.INT8, WeightType.INT4)) {
      val overheads = Seq(1, 100, 256, 2048).map(PrefillPass.overhead(weights, _))
      assert(overheads === overheads.sorted.reverse && overheads(2) === overheads(3) && overheads(0) < 7)
    }
    assert(PrefillPass.overhead(WeightType.INT8, 2048) > PrefillPass.overhead(WeightType.F16, 1))
  }

  test("the crossover in rows runs dense where the crossover in densities does") {
    val f = 96
    for (density <- Seq(0.0, 0.3, 0.5, 0.77, 1.0, 2.0)) {
      val crossover = new Crossover(Array(density))
      val from = DeviceRule.denseFrom(crossover, f)
      assert(from.length === 7)
      for (rows <- 0 to f) assert((rows >= from(3)) === crossover.dense(3, rows.toDouble / f), s"$density, $rows")
    }
  }
}
