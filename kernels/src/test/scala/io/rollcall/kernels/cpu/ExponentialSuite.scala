package io.rollcall.kernels.cpu

import io.rollcall.kernels.{Activation, Fixtures, WorkerPool}
import org.scalatest.funsuite.AnyFunSuite

class ExponentialSuite extends AnyFunSuite {

  test("exp is within 2 ulp of the JDK's over all normal results") {
    var x = -87f
    while (x < 88.7f) {
      val exact = Math.exp(x.toDouble)
      val error = math.abs(Exponential.exp(x) - exact) / Math.ulp(exact.toFloat)
      assert(error <= 2, s"exp($x) is ${Exponential.exp(x)}")
      x += 0.0037f
    }
  }

  test("exp is exact at zero and right at the extremes") {
    assert(Exponential.exp(0f) == 1f && Exponential.exp(-0f) == 1f)
    assert(Exponential.exp(-1000f) == 0f)
    assert(Exponential.exp(Float.NegativeInfinity) == 0f)
    assert(Exponential.exp(1000f).isPosInfinity)
    assert(Exponential.exp(Float.PositiveInfinity).isPosInfinity)
    assert(Exponential.exp(Float.NaN).isNaN)
    // subnormal results
    assert(math.abs(Exponential.exp(-100f) / Math.exp(-100) - 1) < 0.02)
  }

  test("activations stay finite where their argument is huge") {
    val pool = new WorkerPool(1)
    for (kernels <- Seq(CpuKernels.create(pool), CpuKernels.plain(pool));
         activation <- Activation.values) {
      val x = Array.fill(16)(-1000f) ++ Array.fill(16)(1000f) ++ Array(-1000f, 1000f, -1e30f, 1e30f)
      val expected = x.map(v => math.max(v, 0f))
      kernels.activate(activation, x, x.length)
      assert(x.toSeq == expected.toSeq, activation)
    }
  }

  test("activations are what their formulas say") {
    val pool = new WorkerPool(1)
    val points = Array.tabulate(801)(i => (i - 400) / 20f)
    def check(activation: Activation)(exact: Double => Double): Unit = {
      val x = points.clone()
      CpuKernels.create(pool).activate(activation, x, x.length)
      assert(Fixtures.close(x, points.map(v => exact(v.toDouble).toFloat), 2e-6), activation)
    }
    check(Activation.SILU)(v => v / (1 + math.exp(-v)))
    check(Activation.GELU_TANH)(v =>
      0.5 * v * (1 + math.tanh(math.sqrt(2 / math.Pi) * (v + 0.044715 * v * v * v))))
    check(Activation.RELU)(math.max(_, 0))
  }

  test("the bits of an activation do not depend on the place in the array or the provider") {
    val pool = new WorkerPool(1)
    val values = Fixtures.floats(new scala.util.Random(5), 71).map(_ * 6)
    for (activation <- Activation.values) {
      val whole = values.clone()
      CpuKernels.create(pool).activate(activation, whole, whole.length)
      val plain = values.clone()
      CpuKernels.plain(pool).activate(activation, plain, plain.length)
      assert(Fixtures.bits(whole) == Fixtures.bits(plain))
      for (i <- values.indices) {
        val alone = Array(values(i))
        CpuKernels.create(pool).activate(activation, alone, 1)
        assert(Fixtures.bits(alone).head == Fixtures.bits(whole)(i), s"$activation element $i")
      }
    }
  }
}
