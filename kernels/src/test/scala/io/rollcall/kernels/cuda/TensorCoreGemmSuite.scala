package io.rollcall.kernels.cuda

import scala.util.Random

import io.rollcall.kernels.Fixtures
import org.scalatest.funsuite.AnyFunSuite

class TensorCoreGemmSuite extends AnyFunSuite with DeviceFixture {
  import DeviceFixture.rounded

  private val shapes = Seq((1, 64, 64), (3, 128, 64), (64, 192, 128), (127, 256, 384), (128, 128, 1536),
    (129, 64, 192), (300, 448, 320), (1100, 128, 64))

  /** Elements [rows x columns] of rows `stride` long, the rest a value that must not be used. */
  private def padded(values: Array[Float], columns: Int, stride: Int): Array[Float] =
    values.grouped(columns).flatMap(_ ++ Array.fill(stride - columns)(1e30f)).toArray

  private def checked(transposed: Boolean, gap: Int, cIsF32: Boolean, beta: Float): Unit =
    onDevice {
      val random = new Random(9)
      val gemm: Gemm = new TensorCoreGemm(context, stream)
      for (((m, n, k), i) <- shapes.zipWithIndex) {
        val alpha = if (i % 2 == 0) 1f else -0.25f
        val (a, b, c) = (
          Fixtures.floats(random, m * k).map(rounded),
          Fixtures.floats(random, n * k).map(rounded),
          Fixtures.floats(random, m * n).map(rounded))
        val columnsOfB = if (transposed) k else n
        val (lda, ldb, ldc) = (k + gap, columnsOfB + gap, n + gap)
        val onA = uploadF16(padded(a, k, lda))
        val onB = uploadF16(padded(b, columnsOfB, ldb))
        val onC = if (cIsF32) upload(padded(c, n, ldc)) else uploadF16(padded(c, n, ldc))
        if (transposed) gemm.multiplyTransposed(onA, lda, onB, ldb, onC, ldc, cIsF32, m, n, k, alpha, beta)
        else gemm.multiply(onA, lda, onB, ldb, onC, ldc, cIsF32, m, n, k, alpha, beta)
        stream.synchronize()
        val actual = if (cIsF32) floats(onC, m * ldc) else f16s(onC, m * ldc)
        val expected = Array.tabulate(m * ldc) { i =>
          val (row, column) = (i / ldc, i % ldc)
          if (column >= n) if (cIsF32) 1e30f else rounded(1e30f)
          else {
            var sum = 0.0
            var j = 0
            while (j < k) {
              sum += a(row * k + j).toDouble * (if (transposed) b(column * k + j) else b(j * n + column))
              j += 1
            }
            (alpha * sum + (if (beta == 0) 0 else c(row * n + column))).toFloat
          }
        }
        withClue(s"$m x $n x $k: ")(
          assertClose(actual, expected, 1e-4f * math.sqrt(k).toFloat, if (cIsF32) 1e-4f else 0.0042f))
        afterEach()
      }
    }

  for (transposed <- Seq(true, false); cIsF32 <- Seq(true, false); beta <- Seq(0f, 1f))
    test(s"B ${if (transposed) "transposed" else "as it is"}, C ${if (cIsF32) "f32" else "f16"}, beta $beta") {
      checked(transposed, 0, cIsF32, beta)
      checked(transposed, 8, cIsF32, beta)
    }

  test("shapes the kernels cannot take are refused") {
    val gemm: Gemm = new TensorCoreGemm(null, null)
    for ((m, n, k) <- Seq((0, 64, 64), (1, 32, 64), (1, 64, 96)))
      assertThrows[IllegalArgumentException](gemm.multiply(null, null, null, true, m, n, k, 0))
    assertThrows[IllegalArgumentException](gemm.multiply(null, null, null, true, 1, 64, 64, 0.5f))
    assertThrows[IllegalArgumentException](gemm.multiply(null, 65, null, 64, null, 64, true, 1, 64, 64, 1, 0))
  }
}
