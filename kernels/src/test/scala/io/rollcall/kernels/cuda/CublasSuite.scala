package io.rollcall.kernels.cuda

import java.nio.file.Files

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

class CublasSuite extends AnyFunSuite with DeviceFixture {
  private def withCublas(test: Cublas => Unit): Any = onDevice {
    val found = Cublas.open(context, stream)
    assume(found.isPresent, "the node has no cuBLAS")
    val cublas = found.get()
    try {
      info(s"cuBLAS ${cublas.version()} at ${cublas.path()}")
      test(cublas)
    } finally cublas.close()
  }

  private def random(n: Int, seed: Int): Array[Float] = {
    val generator = new Random(seed)
    Array.fill(n)(DeviceFixture.rounded(generator.nextFloat() * 2 - 1))
  }

  private def product(m: Int, n: Int, k: Int)(a: (Int, Int) => Float, b: (Int, Int) => Float): Array[Float] =
    Array.tabulate(m * n)(i => (0 until k).map(j => a(i / n, j).toDouble * b(j, i % n)).sum.toFloat)

  test("C = A B^T + beta C, f32 and f16") {
    withCublas { cublas =>
      for ((m, n, k) <- Seq((3, 40, 64), (17, 128, 96), (64, 24, 256)); beta <- Seq(0f, 1f); isF32 <- Seq(true, false)) {
        val (a, b, c) = (random(m * k, 1), random(n * k, 2), random(m * n, 3))
        val result = if (isF32) upload(c) else uploadF16(c)
        cublas.multiplyTransposed(uploadF16(a), uploadF16(b), result, isF32, m, n, k, beta)
        val expected = product(m, n, k)((i, j) => a(i * k + j), (j, i) => b(i * k + j)).zip(c).map { case (p, o) => p + beta * o }
        val actual = if (isF32) floats(result, m * n) else f16s(result, m * n)
        assertClose(actual, expected, 1e-4f * k, if (isF32) 1e-4f else 1e-2f)
      }
    }
  }

  test("C = A B, within wider matrices") {
    withCublas { cublas =>
      val (m, n, k) = (12, 40, 32)
      val (lda, ldb, ldc) = (48, 64, 56)
      val (a, b) = (random(m * lda, 1), random(k * ldb, 2))
      val result = upload(Array.fill(m * ldc)(-7f))
      cublas.multiply(uploadF16(a), lda, uploadF16(b), ldb, result, ldc, true, m, n, k, 4, 0)
      val actual = floats(result, m * ldc).grouped(ldc).toArray
      val expected = product(m, n, k)((i, j) => 4 * a(i * lda + j), (j, i) => b(j * ldb + i))
      assertClose(actual.flatMap(_.take(n)), expected, 1e-3f, 1e-4f)
      assert(actual.forall(_.drop(n).forall(_ == -7f)))
    }
  }

  test("a matrix larger than its buffer is refused") {
    withCublas { cublas =>
      val small = allocate(64)
      val error = intercept[IllegalArgumentException](cublas.multiplyTransposed(small, small, small, true, 4, 4, 64, 0))
      assert(error.getMessage.contains("its buffer has 64"))
    }
  }

  test("a captured product runs at each launch") {
    withCublas { cublas =>
      val (m, n, k) = (8, 16, 32)
      val (a, b) = (uploadF16(random(m * k, 1)), uploadF16(random(n * k, 2)))
      val c = zeros(m * n * 4)
      cublas.multiplyTransposed(a, b, c, true, m, n, k, 0)
      val once = floats(c, m * n)
      val graph = stream.capture("a product", () => cublas.multiplyTransposed(a, b, c, true, m, n, k, 1))
      graph.launch(stream)
      graph.launch(stream)
      assertClose(floats(c, m * n), once.map(_ * 3), 1e-4f, 1e-4f)
      graph.close()
    }
  }

  test("folders are found by pattern") {
    val root = Files.createTempDirectory("prefix")
    for (version <- Seq("3.9", "3.12", "3.11")) Files.createDirectories(root.resolve(s"lib/python$version/site-packages"))
    val found = CublasLibrary.expand(root, "lib/python3*/site-packages").asScala.map(root.relativize(_).toString)
    assert(found.toSet == Set("3.9", "3.12", "3.11").map(v => s"lib/python$v/site-packages"))
    assert(CublasLibrary.expand(root, "nothing/*/here").isEmpty)
  }

  /** What is found when that is said to be cuBLAS. */
  private def found(said: String) = {
    val before = System.getProperty("rollcall.cublas")
    System.setProperty("rollcall.cublas", said)
    try CublasLibrary.find()
    finally if (before == null) System.clearProperty("rollcall.cublas") else System.setProperty("rollcall.cublas", before)
  }

  test("a path that is said to be cuBLAS and is not is an error") {
    val path = "/nowhere/libcublas.so.13"
    assert(intercept[IllegalArgumentException](found(path)).getMessage.contains(path))
  }

  test("a node may be told to have none") {
    assert(found("none").isEmpty)
  }
}
