package io.rollcall.jobs.evaluate

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.evaluation.Bootstrap.Interval

class AdoptionSuite extends AnyFunSuite {
  private def metrics(method: String, sparsity: Double, loss: Double, bytes: Long): Metrics = {
    val around = new Interval(loss - 0.01, loss + 0.01)
    new Metrics(
      method, sparsity, "shared", 8, s"$method-$sparsity.json", 10, 0.5, 0.3, 0.5, 0.1, 0.2, 0.5, bytes,
      100, 1000, loss, around, around, around, around, around, around, 500, null,
      Map.empty[Integer, Metrics.Smaller].asJava)
  }

  private val dense = metrics("dense", 0, 0, 100)

  private def adopted(all: Metrics*): Adoption = Adoption.of((dense +: all).asJava, 0.05)

  test("of those that serve, the one that reads least is adopted") {
    val best = metrics("m-countdown", 0.4, 0.03, 70)
    val adoption = adopted(metrics("m-countdown", 0.3, 0.01, 80), best, metrics("m-countdown", 0.5, 0.06, 60))
    assert(adoption.metrics == best)
    assert(adoption.sentence == "Adopt m-countdown at sparsity 0.4 (profile 'm-countdown-0.4.json'): at" +
      " batch 8 perplexity rises by 3.0 % (at most 4.0 % with 95 % confidence, 5.0 % allowed) and 30 %" +
      " of the feed-forward bytes are saved.")
  }

  test("m-countdown comes before d-countdown, which needs a predictor, where both serve") {
    val (m, d) = (metrics("m-countdown", 0.3, 0.01, 80), metrics("d-countdown", 0.5, 0.02, 50))
    assert(adopted(d, m).metrics == m)
    assert(adopted(d, metrics("m-countdown", 0.5, 0.2, 60)).metrics == d)
  }

  test("a loss whose interval goes past the bound does not serve") {
    val adoption = adopted(metrics("m-countdown", 0.4, 0.045, 70))
    assert(adoption.metrics == null)
    assert(adoption.sentence.contains("m-countdown at sparsity 0.4") && adoption.sentence.contains("may rise by 5.5 %"))
  }

  test("oracles are never adopted, nor what saves nothing") {
    assert(adopted(metrics("s-countdown-oracle", 0.5, 0, 60)).sentence.contains("oracles"))
    assert(adopted(metrics("m-countdown", 0.1, 0.01, 100)).sentence.contains("saves no bytes at batch 8"))
  }
}
