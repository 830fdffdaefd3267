package io.rollcall.jobs.generate

import io.rollcall.engine.sparsity.{Method, UnionStrategy}
import io.rollcall.jobs.UsageException
import org.scalatest.funsuite.AnyFunSuite

class SparsityRequestSuite extends AnyFunSuite {
  private val shared = new UnionStrategy.Shared()

  private def refused(request: => Any): String = intercept[UsageException](request).getMessage

  test("a profile excludes what it brings itself") {
    assert(refused(new SparsityRequest(Method.CATS, null, "p", null)).contains("--method"))
    assert(refused(new SparsityRequest(null, 0.5, "p", null)).contains("--sparsity"))
    assert(refused(new SparsityRequest(null, null, "p", shared)).contains("--union"))
  }

  test("dense takes neither sparsity nor union") {
    assert(refused(new SparsityRequest(Method.DENSE, 0.5, null, null)).contains("--sparsity"))
    assert(refused(new SparsityRequest(Method.DENSE, null, null, shared)).contains("--union"))
  }

  test("a sparsity is a fraction") {
    Seq(0.0, 1.0, -1.0, Double.NaN).foreach { value =>
      assert(refused(SparsityRequest.of(Method.CATS, value, shared)).contains("outside (0, 1)"))
    }
  }

  test("methods that need a predictor are refused by name") {
    assert(
      refused(SparsityRequest.of(Method.D_COUNTDOWN, 0.5, shared)).contains("d-countdown-oracle"))
  }

  test("top-p needs a temperature") {
    assert(refused(new Decoding(1, 1, 16, 0, 0.5, 0, null)).contains("--temperature"))
    assert(refused(Decoding.greedy(0, 1)).contains("batch size 0"))
  }
}
