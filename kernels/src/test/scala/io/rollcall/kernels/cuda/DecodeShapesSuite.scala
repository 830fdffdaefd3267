package io.rollcall.kernels.cuda

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.kernels.WeightType

class DecodeShapesSuite extends AnyFunSuite {
  private val types = Seq(WeightType.F16, WeightType.INT8, WeightType.INT4)
  private val tiles = Seq(8, 16, 32, 64)

  /** What a block may have on sm_86 and sm_89. */
  private val least = 99 * 1024

  test("every device has shared memory for products and sums of any batch and format") {
    // ranks of a union, its list and small change beside the ring
    val ranks = 4 * (2 * 1024 + 32) + 4 * 128 + 512
    for (kind <- types; tile <- tiles) {
      val ring = DecodeShapes.rowRingBytes(kind, tile)
      assert(ring + ranks <= least, s"$kind, $tile")
      // sums are staged in the ring
      assert(DecodeShapes.rows(kind, tile) * (tile + 1) * 4 <= ring, s"$kind, $tile")
      assert(DecodeShapes.columnRingBytes(kind, tile, DecodeShapes.MOST_LISTED) <= least, s"$kind, $tile")
    }
  }

  test("a folded int4 predictor of rank f / 24 is fused on sm_90 with any weights of the Llama-3.1-8B shape") {
    val (d, f, rank, blocks) = (4096, 14336, 640, 132)
    val tilesOfABlock = DecodeShapes.ceil(f / DecodeShapes.HELD_ROWS, blocks)
    for (kind <- types; tile <- tiles if tile <= DecodeShapes.MOST_HELD) {
      val bytes = DecodeShapes.heldPredictedBytes(kind, tile, d, rank, tilesOfABlock)
      assert(bytes <= 227 * 1024 - 512, s"$kind, $tile")
      assert(DecodeShapes.unitBytes(WeightType.INT4, rank, true) <= DecodeShapes.heldStageBytes(kind))
    }
  }
}
