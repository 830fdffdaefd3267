package io.rollcall.engine.training

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.{RandomModels, UserException}
import io.rollcall.engine.algebra.Products
import io.rollcall.engine.calibration.{Calibrator, DecodePositions, ScoreSketches}
import io.rollcall.engine.runner.{DecodeSequence, RunnerOptions, ScoreObserver, TokenBatch}
import io.rollcall.engine.sampling.RandomStream
import io.rollcall.engine.sparsity._
import io.rollcall.engine.statistics.SparsityCounters
import io.rollcall.kernels.{WeightType, WorkerPool}
import io.rollcall.kernels.cpu.CpuKernels

class PredictorTrainerSuite extends AnyFunSuite {
  private val (d, f) = (24, 70)

  /** Scores that are large where a hidden product of rank 6 is, or its magnitude, with noise. */
  private def samples(
      seed: Int, count: Int, noise: Double = 0.3, bothSides: Boolean = false): LayerSamples = {
    val teacher = new Random(1)
    val a = Array.fill(6, d)(teacher.nextGaussian() / math.sqrt(d))
    val b = Array.fill(f, 6)(teacher.nextGaussian() / math.sqrt(6))
    val random = new Random(seed)
    val collector = new SampleCollector(Array(1f), count, d, f)
    while (!collector.full) {
      val batch = 1 + random.nextInt(5)
      val x = Array.fill(batch * d)(random.nextGaussian().toFloat)
      val scores = (0 until batch).flatMap { r =>
        val h = a.map(row => row.indices.map(i => row(i) * x(r * d + i)).sum)
        b.map { row =>
          val product = row.indices.map(i => row(i) * h(i)).sum
          math.exp(1.2 * (if (bothSides) math.abs(product) - 0.8 else product) - 0.6 + noise * random.nextGaussian())
        }
          .map(s => (if (random.nextBoolean()) s else -s).toFloat)
      }.toArray
      collector.input(0, x, batch)
      collector.observe(0, 0, scores, batch, null)
    }
    new LayerSamples(d, f, Seq(collector.records(0)).asJava)
  }

  private def train(
      options: TrainingOptions,
      workers: Int = 1): (TrainedPredictor, Seq[PredictorQuality]) = {
    val trainer = new PredictorTrainer(options, workers)
    val seen = Seq.newBuilder[PredictorQuality]
    try {
      val trained = trainer.train(samples(2, 1500), samples(3, 400), (_, q) => seen += q)
      (trained, seen.result())
    } finally trainer.close()
  }

  private val options = new TrainingOptions(6, false, WeightType.BF16, 0.7, 12, 5)

  test("training recalls more than least squares, which recalls more than chance") {
    val (trained, epochs) = train(options)
    assert(trained.initial.recall > 0.6)
    assert(trained.quality.energy > trained.initial.energy)
    assert(trained.quality.recall > trained.initial.recall)
    assert(trained.quality.recall > 0.7)
    assert(epochs.head == trained.initial)
    assert(epochs(trained.epochs) == trained.quality)
    assert(epochs.map(_.energy).max == trained.quality.energy)
  }

  test("the same seed gives the same predictor with any number of threads") {
    val folded = new TrainingOptions(6, true, WeightType.INT4, 0.7, 4, 5)
    for (options <- Seq(options, folded)) {
      val (one, _) = train(options)
      val (two, _) = train(options, 3)
      assert(one.predictor.a.sameElements(two.predictor.a))
      assert(one.predictor.b.sameElements(two.predictor.b))
      assert(java.util.Arrays.equals(one.predictor.fold, two.predictor.fold))
    }
  }

  test("a fold sees scores that are large on both sides of zero, and a linear logit does not") {
    def energy(folded: Boolean): Double = {
      val trainer = new PredictorTrainer(new TrainingOptions(6, folded, WeightType.BF16, 0.7, 40, 5), 2)
      try
        trainer
          .train(samples(2, 3000, bothSides = true), samples(3, 400, bothSides = true), (_, _) => ())
          .quality.energy
      finally trainer.close()
    }
    val (linear, folded) = (energy(folded = false), energy(folded = true))
    assert(folded > linear + 0.2, s"$linear $folded")
  }

  test("at the oracle's own density recall and precision are the same") {
    val quality = train(options)._1.quality
    val held = samples(3, 400)
    val x = new Array[Float](d)
    val ratios = new Array[Byte](f)
    val called = (0 until 400).map { i => held.read(i, x, 0, ratios, 0); ratios.count(_ >= 0) }.sum
    val predicted = called * quality.recall / quality.precision
    assert(math.abs(predicted / (400 * f) - 0.3) < 0.01)
  }

  test("training stops when held-out positions gain no more") {
    val (trained, epochs) = train(new TrainingOptions(6, false, WeightType.BF16, 0.7, 500, 5))
    assert(epochs.size <= trained.epochs + 7)
    assert(epochs.size < 400)
  }

  test("a product of full rank fits what is linear") {
    val random = new Random(4)
    val weights = Array.fill(d, f)(random.nextGaussian().toFloat)
    val n = 3000
    val x = Array.fill(n * d)(random.nextGaussian().toFloat)
    val y = new Array[Float](n * f)
    for (r <- 0 until n; i <- 0 until d; j <- 0 until f) y(r * f + j) += x(r * d + i) * weights(i)(j)
    val pool = new WorkerPool(1)
    val (a, b) = (new Array[Float](d * d), new Array[Float](f * d))
    try {
      val fit = new LowRankFit(d, f)
      fit.add(new Products(CpuKernels.create(pool)), x, y, n)
      fit.solve(d, a, b)
    } finally pool.close()
    val fitted = Array.tabulate(d, f)((i, j) => (0 until d).map(k => a(k * d + i) * b(j * d + k)).sum)
    // the ridge of 0.3 shrinks what it finds
    for (i <- 0 until d; j <- 0 until f) assert(math.abs(fitted(i)(j) * 1.3 - weights(i)(j)) < 0.25)
  }

  test("a byte tells a score's side of the threshold and its size") {
    for (ratio <- Seq(1e-9f, 0.01f, 0.5f, 0.999f, 1f, 1.01f, 3f, 200f, 1e9f, Float.PositiveInfinity)) {
      val code = ScoreRatio.encode(ratio)
      assert((code >= 0) == (ratio >= 1), ratio)
      if (ratio > 0.004 && ratio < 250) assert(math.abs(ScoreRatio.decode(code) / ratio - 1) < 0.04, ratio)
    }
  }

  test("samples come back as they were gathered, from chunks of any size") {
    val random = new Random(6)
    val all = Seq(3, 1, 5).map { n =>
      val collector = new SampleCollector(Array(9f, 2f), n, 3, 4)
      val x = Array.fill(n * 3)(random.nextInt(100).toFloat)
      val scores = Array.fill(n * 4)(random.nextInt(9).toFloat - 4)
      collector.input(0, x, n)
      collector.observe(0, 0, scores, n, null)
      collector.input(1, x, n)
      collector.observe(1, 0, scores, n, Array(1f, 1f, 2f, 1f))
      assert(collector.full && collector.count == n)
      (x.grouped(3).toSeq, scores.grouped(4).toSeq, collector.records(1))
    }
    val samples = new LayerSamples(3, 4, all.map(_._3).asJava)
    assert(samples.count == 9)
    val rows = all.flatMap(_._1).zip(all.flatMap(_._2))
    for (((x, scores), i) <- rows.zipWithIndex) {
      val (read, ratios) = (new Array[Float](3), new Array[Byte](4))
      samples.read(i, read, 0, ratios, 0)
      assert(read.toSeq == x.toSeq)
      val labels = scores.zip(Seq(1, 1, 2, 1)).map { case (s, scale) => math.abs(s) * scale >= 2 }
      assert(ratios.map(_ >= 0).toSeq == labels.toSeq)
    }
  }

  test("the sigmoid is the sigmoid") {
    for (i <- -400 to 400) {
      val x = i / 20f
      assert(math.abs(WeightedCrossEntropy.sigmoid(x) - 1 / (1 + math.exp(-x))) < 2e-4)
    }
  }

  test("default ranks are a 24th of f, and ranks above d are refused") {
    assert(TrainingOptions.defaultRank(384, 1536) == 64)
    assert(TrainingOptions.defaultRank(4096, 14336) == 608)
    assert(TrainingOptions.defaultRank(8, 12) == 8)
    val refused = intercept[UserException](new TrainingOptions(9, true, WeightType.INT4, 0.5, 1, 0).requireFits(8, "tiny"))
    assert(refused.getMessage.contains("rank 9") && refused.getMessage.contains("hidden size 8"))
    assert(intercept[UserException](new TrainingOptions(9, true, WeightType.INT4, 1, 1, 0)).getMessage.contains("outside (0, 1)"))
  }

  test("a trained predictor calls in the model what it was trained to call") {
    val model = RandomModels.model(8, layers = 1)
    val config = model.config
    def decode(method: Method, predictors: Predictors, observer: ScoreObserver, seed: Int): Unit = {
      val options = RunnerOptions.greedy(4, 40, 1)
      val runner =
        if (predictors == null) model.observed(method, observer, options)
        else model.observed(method, predictors, observer, options)
      val counters = new SparsityCounters(1, 4, model.cost)
      val streams = Seq.tabulate(4)(slot => new RandomStream(seed, s"$slot"))
      val random = new Random(seed)
      try
        for (position <- 0 until 39)
          runner.decode(
            (0 until 4).map(slot =>
              new DecodeSequence(slot, random.nextInt(61), position, streams(slot), position, 1)).asJava,
            counters)
      finally runner.close()
    }
    def oracle(seed: Int): ScoreSketches = {
      val collector = new ScoreSketches(new UnionStrategy.Own, 4, 1, config.intermediateSize)
      decode(Method.D_COUNTDOWN_ORACLE, null, collector, seed)
      collector
    }
    val thresholds = oracle(1).distributions.thresholds(0.7)(0)
    def gathered(seeds: Range): LayerSamples = {
      val collector = new SampleCollector(thresholds, 5000, config.hiddenSize, config.intermediateSize)
      seeds.foreach(decode(Method.D_COUNTDOWN_ORACLE, null, collector, _))
      new LayerSamples(config.hiddenSize, config.intermediateSize, Seq(collector.records(0)).asJava)
    }
    val trainer = new PredictorTrainer(new TrainingOptions(16, true, WeightType.INT8, 0.7, 5, 1), 1)
    val held = gathered(20 until 22)
    val trained =
      try trainer.train(gathered(1 until 12), held, (_, _) => ())
      finally trainer.close()
    assert(trained.quality.recall > 0.4)

    val stored = Predictors.read(
      "p.safetensors", new Predictors("p.safetensors", Seq(trained.predictor).asJava).write(), WeightType.INT8, "p")
    val logits = new ScoreSketches(
      new UnionStrategy.Shared, 4, 1, config.intermediateSize, true, 0)
    decode(Method.D_COUNTDOWN, stored, logits, 20)
    decode(Method.D_COUNTDOWN, stored, logits, 21)
    val found = logits.distributions.thresholds(0.7)
    assert(found.map(_(0)).toSeq == found.map(_(0)).sorted.toSeq, "rising with the batch")
    assert(math.abs(logits.distributions.ownDensity(found)(0)(0) - 0.3) < 0.01)
    for (k <- found.indices) assert(math.abs(logits.distributions.unionDensity(found)(k)(0) - 0.3) < 0.02, k)
  }
}
