package io.rollcall.engine.calibration

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.sparsity.Bf16

class FactorMomentsSuite extends AnyFunSuite {
  private val (layers, width) = (2, 30)
  private val norms = Array.tabulate(layers, width)((l, i) => 0.5f + (i * 7 + l) % 5).toSeq.asJava

  /** [position][layer][neuron], the last neuron always 0. */
  private def scores(random: Random, positions: Int): Seq[Seq[Array[Float]]] =
    Seq.fill(positions)(Seq.fill(layers)(
      Array.tabulate(width)(i => if (i == width - 1) 0f else (random.nextGaussian() * (1 + i)).toFloat)))

  private def moments(seen: Seq[Seq[Array[Float]]], batch: Int): FactorMoments = {
    val sums = new FactorMoments.Sums(layers, width)
    for (step <- seen.grouped(batch); layer <- 0 until layers)
      // buffers are longer than a step's scores
      sums.observe(layer, 0, step.flatMap(_(layer)).toArray ++ Array.fill(width)(99f), step.size, null)
    sums.moments(norms)
  }

  test("scales are norms times the rms of the other factor, with a mean of 1 in each layer") {
    val seen = scores(new Random(1), 50)
    val found = moments(seen, batch = 4)
    assert(found.positions === 50)
    val scales = found.scales("s.safetensors")
    assert(scales.file === "s.safetensors")
    for (layer <- 0 until layers) {
      val sizes = (0 until width).map(i =>
        norms.get(layer)(i) * math.sqrt(seen.map(p => math.pow(p(layer)(i), 2)).sum / 50))
      val mean = sizes.sum / width
      for (i <- 0 until width) {
        val scale = Bf16.value(scales.layers.get(layer)(i))
        assert(math.abs(scale - sizes(i) / mean) <= scale / 256)
      }
      assert(scales.layers.get(layer).last === 0)
    }
  }

  test("moments of parts add up to those of the whole") {
    val seen = scores(new Random(2), 41)
    val whole = moments(seen, batch = 8).scales("s")
    val parts = Seq(seen.take(10), seen.slice(10, 11), seen.drop(11)).map(moments(_, batch = 3))
    val sum = parts.reduce(_ plus _)
    assert(sum.positions === 41)
    for ((a, b) <- sum.scales("s").floats.asScala.zip(whole.floats.asScala); i <- 0 until width)
      assert(math.abs(a(i) - b(i)) <= b(i) / 128)
  }

  test("a layer whose other factor was never above 0 is not scaled") {
    val none = moments(Seq.fill(3)(Seq.fill(layers)(new Array[Float](width))), batch = 2)
    assert(none.scales("s").floats.asScala.forall(_.forall(_ == 1f)))
  }
}
