package io.rollcall.engine.sampling

import org.scalatest.funsuite.AnyFunSuite

class SamplerSuite extends AnyFunSuite {
  private val logits = Array(9f, 1f, 3f, 2f, 3f, -5f)
  private val offset = 1

  private def sampler(temperature: Double, topP: Double) =
    new Sampler(new Sampling(temperature, topP), 5)

  private def frequencies(temperature: Double, topP: Double): Seq[Double] = {
    val draws = 40000
    val random = new RandomStream(1, "a")
    val s = sampler(temperature, topP)
    val counts = new Array[Int](5)
    for (i <- 0 until draws) counts(s.sample(logits, offset, random, i)) += 1
    counts.toSeq.map(_.toDouble / draws)
  }

  test("greedy takes the lowest of the largest logits") {
    assert(sampler(0, 1).sample(logits, offset, new RandomStream(1, "a"), 0) === 1)
  }

  test("temperature draws in proportion to exp(logit / temperature)") {
    for (temperature <- Seq(0.5, 1.0, 2.0)) {
      val weights = logits.toSeq.drop(1).map(l => math.exp(l / temperature))
      val expected = weights.map(_ / weights.sum)
      for ((f, e) <- frequencies(temperature, 1).zip(expected))
        assert(math.abs(f - e) < 0.01, s"temperature $temperature")
    }
  }

  test("top-p leaves out what lies past the nucleus, the lower of equal tokens first") {
    // at temperature 1 the two 3s have 0.40 each, the 2 has 0.15, the 1 has 0.05
    val narrow = frequencies(1, 0.3)
    assert(narrow === Seq(0.0, 1.0, 0.0, 0.0, 0.0))
    val two = frequencies(1, 0.7)
    assert(two(0) === 0 && two(2) === 0 && two(4) === 0 && math.abs(two(1) - 0.5) < 0.01)
    assert(frequencies(1, 0.9)(2) > 0 && frequencies(1, 0.9)(0) === 0)
  }

  test("a stream depends on seed, id and index alone, and is uniform") {
    val a = new RandomStream(1, "a")
    val draws = (0 until 20000).map(i => a.uniform(i.toLong))
    assert(draws === (0 until 20000).map(i => new RandomStream(1, "a").uniform(i.toLong)))
    assert(draws.forall(u => u >= 0 && u < 1))
    for (bin <- 0 until 10)
      assert(math.abs(draws.count(u => (u * 10).toInt == bin) / 20000.0 - 0.1) < 0.01)
    assert(a.uniform(0) !== new RandomStream(2, "a").uniform(0))
    assert(a.uniform(0) !== new RandomStream(1, "b").uniform(0))
  }
}
