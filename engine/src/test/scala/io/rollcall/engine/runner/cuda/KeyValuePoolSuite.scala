package io.rollcall.engine.runner.cuda

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException
import io.rollcall.kernels.cuda.KeyValuePages

class KeyValuePoolSuite extends AnyFunSuite {
  private val mebibyte = 1L << 20
  // 128 KiB a position, 8 MiB a page
  private val shape = new KeyValuePages.Shape(32, 8, 128, 1, 4, 1000)
  private val left = 256 * mebibyte

  test("every slot has its whole context where that fits") {
    assert(shape.bytesPerPage === 8 * mebibyte && shape.maxPages === 16)
    assert(KeyValuePool.pages(shape, 80L << 30, "a device") === 64)
    assert(KeyValuePool.pages(shape, left + 64 * 8 * mebibyte, "a device") === 64)
  }

  test("else it has what is left, down to one whole context") {
    assert(KeyValuePool.pages(shape, left + 64 * 8 * mebibyte - 1, "a device") === 63)
    assert(KeyValuePool.pages(shape, left + 16 * 8 * mebibyte, "a device") === 16)
  }

  test("less is refused with what it needs, what there is and what to do") {
    for ((free, said) <- Seq((left + 16 * 8 * mebibyte - 1) -> "127 MiB", 5L -> "0 MiB")) {
      val message = intercept[UserException](KeyValuePool.pages(shape, free, "a device")).getMessage
      assert(message.startsWith(
        "the key/value pool of one sequence of 1000 positions needs 128 MiB, of 4 sequences 512 MiB, and a device has " +
          s"$said left; lower --context or --batch-size"), message)
    }
  }
}
