package io.rollcall.engine.algebra

import scala.util.Random

import org.ejml.data.DMatrixRMaj
import org.ejml.dense.row.CommonOps_DDRM
import org.scalatest.funsuite.AnyFunSuite

class ReducedRankRegressionSuite extends AnyFunSuite {
  private def gaussian(random: Random, rows: Int, columns: Int): DMatrixRMaj =
    DMatrixRMaj.wrap(rows, columns, Array.fill(rows * columns)(random.nextGaussian()))

  private def times(a: DMatrixRMaj, b: DMatrixRMaj, transA: Boolean = false, transB: Boolean = false) = {
    val product = new DMatrixRMaj(0, 0)
    if (transA) CommonOps_DDRM.multTransA(a, b, product)
    else if (transB) CommonOps_DDRM.multTransB(a, b, product)
    else CommonOps_DDRM.mult(a, b, product)
    product
  }

  /** The squared error of the map through these directions. */
  private def error(x: DMatrixRMaj, y: DMatrixRMaj, directions: DMatrixRMaj): Double = {
    val z = times(x, directions, transB = true)
    val back = new DMatrixRMaj(0, 0)
    assert(CommonOps_DDRM.solve(z, y, back))
    val fitted = times(z, back)
    CommonOps_DDRM.subtract(y, fitted, fitted)
    CommonOps_DDRM.elementMult(fitted, fitted)
    CommonOps_DDRM.elementSum(fitted)
  }

  for (seed <- 1 to 3)
    test(s"no directions leave less error than the ones found, seed $seed") {
      val random = new Random(seed)
      val (n, d, m, rank) = (200, 9, 5, 2)
      val x = times(gaussian(random, n, d), gaussian(random, d, d))
      val y = times(x, gaussian(random, d, m))
      CommonOps_DDRM.addEquals(y, 3, gaussian(random, n, m))
      val cross = times(x, y, transA = true)
      val covariance = times(x, x, transA = true)
      val kept = covariance.copy()
      val found = ReducedRankRegression.directions(covariance, times(cross, cross, transB = true), rank)
      assert(found.length === rank)
      val a = new DMatrixRMaj(found)
      val unit = times(times(a, kept), a, transB = true)
      for (i <- 0 until rank; j <- 0 until rank)
        assert(math.abs(unit.get(i, j) - (if (i == j) 1 else 0)) < 1e-8)
      val least = error(x, y, a)
      for (size <- Seq(1e-3, 0.1, 1.0); _ <- 1 to 50) {
        val other = a.copy()
        val scale = CommonOps_DDRM.elementMaxAbs(a)
        CommonOps_DDRM.addEquals(other, size * scale, gaussian(random, rank, d))
        assert(error(x, y, other) >= least * (1 - 1e-9))
      }
    }

  test("inputs that depend on each other are refused") {
    val singular = new DMatrixRMaj(Array(Array(1.0, 1.0), Array(1.0, 1.0)))
    intercept[IllegalArgumentException](
      ReducedRankRegression.directions(singular, CommonOps_DDRM.identity(2), 1))
  }
}
