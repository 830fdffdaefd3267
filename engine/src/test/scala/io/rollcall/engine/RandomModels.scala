package io.rollcall.engine

import java.nio.{ByteBuffer, ByteOrder}
import java.util

import scala.jdk.CollectionConverters._
import scala.util.Random

import io.rollcall.engine.model.{LayerWeights, Model, ModelConfig, ModelWeights, Rope}
import io.rollcall.engine.runner.CpuModel
import io.rollcall.engine.sparsity.{Bf16, Correction, Corrections, NeuronScales, Predictor, Predictors}
import io.rollcall.kernels.{Activation, WeightMatrix, WeightType}

/** Small models of random f32 weights, without a tokenizer. */
object RandomModels {

  def matrix(random: Random, rows: Int, columns: Int, scale: Double): WeightMatrix = {
    val data = ByteBuffer.allocate(rows * columns * 4).order(ByteOrder.LITTLE_ENDIAN)
    for (_ <- 0 until rows * columns) data.putFloat((random.nextGaussian() * scale).toFloat)
    data.flip()
    WeightMatrix.of(WeightType.F32, rows, columns, data)
  }

  def model(
      seed: Int,
      layers: Int = 3,
      hidden: Int = 48,
      intermediate: Int = 100,
      heads: Int = 4,
      kvHeads: Int = 2,
      vocabulary: Int = 61,
      context: Int = 40,
      activation: Activation = Activation.SILU): CpuModel = {
    val random = new Random(seed)
    val headSize = hidden / heads
    val frequencies =
      Array.tabulate(headSize / 2)(i => math.pow(10000.0, -2.0 * i / headSize).toFloat)
    val config = new ModelConfig(
      "llama", layers, hidden, intermediate, heads, kvHeads, headSize, vocabulary, context, 1e-5f,
      new Rope(frequencies), activation, true, 1, util.Set.of(Integer.valueOf(0)))
    val norm = () => Array.fill(hidden)((1 + 0.1 * random.nextGaussian()).toFloat)
    val w = 1.5 / math.sqrt(hidden)
    val all = Seq.fill(layers) {
      val down = matrix(random, intermediate, hidden, 2.0 / math.sqrt(intermediate))
      new LayerWeights(
        norm(),
        matrix(random, heads * headSize, hidden, w),
        matrix(random, kvHeads * headSize, hidden, w),
        matrix(random, kvHeads * headSize, hidden, w),
        matrix(random, hidden, heads * headSize, w),
        norm(),
        matrix(random, intermediate, hidden, w),
        matrix(random, intermediate, hidden, w),
        down,
        down.rowNorms())
    }
    val embedding = matrix(random, vocabulary, hidden, 1)
    val weights = new ModelWeights(embedding, all.asJava, norm(), embedding)
    new CpuModel(
      new Model(s"random-$seed", s"digest-$seed", config, null, null), WeightType.BF16, weights)
  }

  /** Random predictors whose logits are about normal, or folded ones. */
  def predictors(
      config: ModelConfig,
      seed: String,
      rank: Int,
      folded: Boolean = false,
      precision: WeightType = WeightType.BF16): Predictors = {
    val random = new Random(seed.hashCode)
    def bits(n: Int, scale: Double) =
      Array.fill(n)((java.lang.Float.floatToRawIntBits((random.nextGaussian() * scale).toFloat) >>> 16).toShort)
    val (d, f) = (config.hiddenSize, config.intermediateSize)
    new Predictors(
      "random.safetensors",
      Seq.fill(config.layers) {
        new Predictor(
          rank,
          precision,
          bits(rank * d, 1 / math.sqrt(d)),
          bits(f * rank, 1 / math.sqrt(rank)),
          if (folded) bits(f * rank, 1 / math.sqrt(rank)) else null)
      }.asJava)
  }

  /** Random neuron scales about 1; one in five neurons is never called. */
  def neuronScales(config: ModelConfig, seed: Int): NeuronScales = {
    val random = new Random(seed)
    new NeuronScales(
      "random.safetensors",
      Seq.fill(config.layers) {
        Array.tabulate(config.intermediateSize)(i =>
          Bf16.round(if (i % 5 == 0) 0f else (0.3 + 1.4 * random.nextDouble()).toFloat))
      }.asJava)
  }

  /** Random corrections of a size with outputs'; the first layer has a bias alone. */
  def corrections(config: ModelConfig, seed: Int, rank: Int, buckets: Int): Corrections = {
    val random = new Random(seed)
    def bits(n: Int, scale: Double) =
      Array.fill(n)(Bf16.round((random.nextGaussian() * scale).toFloat))
    val d = config.hiddenSize
    new Corrections(
      "random.safetensors",
      null,
      Seq.tabulate(config.layers) { layer =>
        val r = if (layer == 0) 0 else rank
        new Correction(
          r, Array.fill(buckets)(bits(d, 0.5)), bits(r * d, 1 / math.sqrt(d)), bits(d * r, 0.5 / math.sqrt(rank)))
      }.asJava)
  }
}
