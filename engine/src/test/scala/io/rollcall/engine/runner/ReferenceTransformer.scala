package io.rollcall.engine.runner

import scala.jdk.CollectionConverters._

import io.rollcall.engine.model.LayerWeights
import io.rollcall.engine.sparsity.{BatchBuckets, Bf16, Correction, Method, SparsityPlan, UnionStrategy}
import io.rollcall.kernels.{Activation, WeightMatrix}

/**
 * The slow, obvious transformer in double arithmetic: one token of every sequence a step, no cache
 * layout, no tiles, sparsity by sets of neurons.
 */
final class ReferenceTransformer(model: CpuModel, plan: SparsityPlan) {
  type Vec = Array[Double]

  /** A layer's step: which neurons each sequence called, and which were loaded. */
  final case class Calls(layer: Int, called: Seq[Set[Int]], loaded: Set[Int], dense: Boolean)

  private val config = model.config
  private val layers = model.weights.layers.asScala.toIndexedSeq
  private val matrices = new java.util.IdentityHashMap[WeightMatrix, Array[Vec]]

  /** keys(sequence)(layer) is a list of positions' vectors. */
  final class State {
    val keys: Array[Vector[Vec]] = Array.fill(config.layers)(Vector.empty)
    val values: Array[Vector[Vec]] = Array.fill(config.layers)(Vector.empty)
    def position: Int = keys(0).size
  }

  /** Logits of each sequence after its next token; sparse where `decode`. */
  def step(states: Seq[State], tokens: Seq[Int], decode: Boolean): (Seq[Vec], Seq[Calls]) = {
    var calls = Vector.empty[Calls]
    var x = tokens.map(t => values(model.weights.embedding)(t).clone())
    val positions = states.map(_.position)
    for (l <- layers.indices) {
      val w = layers(l)
      x = x.indices.map { b =>
        plus(x(b), attention(w, states(b), l, positions(b), norm(x(b), w.attentionNorm)))
      }
      val h = x.map(norm(_, w.feedForwardNorm))
      val (y, call) =
        if (decode && plan.method.sparse) sparse(l, w, h) else (h.map(dense(w, _)), null)
      if (call != null) calls :+= call
      x = x.indices.map(b => plus(x(b), y(b)))
    }
    (x.map(v => times(model.weights.head, norm(v, model.weights.norm))), calls)
  }

  private def values(w: WeightMatrix): Array[Vec] =
    matrices.computeIfAbsent(
      w,
      _ => Array.tabulate(w.rows, w.columns)((r, c) => w.get(r, c).toDouble))

  private def times(w: WeightMatrix, x: Vec): Vec =
    values(w).map(row => row.indices.map(k => row(k) * x(k)).sum)

  private def plus(a: Vec, b: Vec): Vec = a.indices.map(i => a(i) + b(i)).toArray

  private def norm(x: Vec, weight: Array[Float]): Vec = {
    val scale = 1 / math.sqrt(x.map(v => v * v).sum / x.length + config.normEpsilon)
    x.indices.map(i => x(i) * scale * weight(i)).toArray
  }

  private def rotate(x: Vec, position: Int): Vec = {
    val size = config.headSize
    val half = size / 2
    Array.tabulate(x.length) { i =>
      val (head, j) = (i / size * size, i % size)
      val angle = position * config.rope.inverseFrequencies()(j % half).toDouble
      if (j < half) x(i) * math.cos(angle) - x(head + j + half) * math.sin(angle)
      else x(i) * math.cos(angle) + x(head + j - half) * math.sin(angle)
    }
  }

  private def attention(w: LayerWeights, s: State, layer: Int, position: Int, x: Vec): Vec = {
    val size = config.headSize
    val q = rotate(times(w.query, x), position)
    s.keys(layer) :+= rotate(times(w.key, x), position)
    s.values(layer) :+= times(w.value, x)
    val out = new Array[Double](q.length)
    for (head <- 0 until config.heads) {
      val kv = head / (config.heads / config.kvHeads)
      val scores = s.keys(layer).map { k =>
        (0 until size).map(i => q(head * size + i) * k(kv * size + i)).sum / math.sqrt(size)
      }
      val weights = scores.map(v => math.exp(v - scores.max))
      for (i <- 0 until size)
        out(head * size + i) =
          weights.zip(s.values(layer)).map { case (p, v) => p * v(kv * size + i) }.sum / weights.sum
    }
    times(w.output, out)
  }

  private def act(x: Double): Double = config.activation match {
    case Activation.SILU => x / (1 + math.exp(-x))
    case Activation.RELU => math.max(x, 0)
    case Activation.GELU_TANH =>
      0.5 * x * (1 + math.tanh(math.sqrt(2 / math.Pi) * (x + 0.044715 * x * x * x)))
  }

  private def dense(w: LayerWeights, x: Vec): Vec =
    over(w, x, (0 until config.intermediateSize).toSet)

  private def over(w: LayerWeights, x: Vec, neurons: Set[Int]): Vec = {
    val (g, u, down) = (times(w.gate, x).map(act), times(w.up, x), values(w.down))
    val y = new Array[Double](x.length)
    for (i <- neurons; k <- y.indices) y(k) += g(i) * u(i) * down(i)(k)
    y
  }

  private def logits(layer: Int, x: Vec): Vec = {
    val predictor = plan.profile.predictors.layers.get(layer)
    val z = times(predictor.reduction, x)
    val linear = times(predictor.expansion, z)
    if (predictor.folded) plus(linear, times(predictor.foldedExpansion, z).map(math.abs)) else linear
  }

  private def scaled(layer: Int, scores: Vec): Vec = {
    val scales = plan.profile.neuronScales
    if (scales == null) scores
    else scores.zip(scales.layers.get(layer)).map { case (s, bits) => s * Bf16.value(bits) }
  }

  private def scores(layer: Int, w: LayerWeights, x: Vec): Vec = {
    val (g, u) = (times(w.gate, x).map(act), times(w.up, x))
    plan.method match {
      case Method.CATS => scaled(layer, g.map(math.abs))
      case Method.M_COUNTDOWN => scaled(layer, u.map(math.abs))
      case Method.D_COUNTDOWN_ORACLE => g.indices.map(i => math.abs(g(i) * u(i))).toArray
      case Method.S_COUNTDOWN_ORACLE =>
        val norms = values(w.down).map(row => math.sqrt(row.map(v => v * v).sum))
        g.indices.map(i => math.abs(g(i) * u(i)) * norms(i)).toArray
      case Method.D_COUNTDOWN | Method.S_COUNTDOWN => logits(layer, x)
      case other => throw new IllegalArgumentException(other.toString)
    }
  }

  /** Squared scores; of a predictor's logits, squares of how far they are above the threshold. */
  private def energies(scores: Vec, threshold: Double): Vec =
    if (plan.method.needsPredictor) scores.map(s => math.pow(math.max(0, s - threshold), 2))
    else scores.map(s => s * s)

  /** c + U (V x). */
  private def corrected(correction: Correction, bucket: Int, x: Vec): Vec = {
    val bias = correction.bias(bucket).map(_.toDouble)
    if (correction.rank == 0) bias
    else plus(bias, times(correction.upMatrix, times(correction.downMatrix, x)))
  }

  private def sparse(layer: Int, w: LayerWeights, h: Seq[Vec]): (Seq[Vec], Calls) = {
    val bucket = BatchBuckets.of(h.size)
    val threshold = plan.profile.threshold(bucket, layer)
    val all = h.map(scores(layer, w, _))
    val called = all.map(s => s.indices.filter(s(_) > threshold).toSet)
    var loaded = called.reduce(_ union _)
    plan.union match {
      case budget: UnionStrategy.Budget =>
        val energy = loaded.map { i =>
          i -> all.map(energies(_, threshold)).map(e => if (e.sum == 0) 0 else e(i) / e.sum).sum
        }.toSeq
        val most = (budget.fraction * config.intermediateSize).toInt
        loaded = energy.sortBy { case (i, e) => (-e, i) }.take(most).map(_._1).toSet
      case _ =>
    }
    val dense =
      plan.crossover.dense(bucket, loaded.size.toDouble / config.intermediateSize)
    val used = if (dense) (0 until config.intermediateSize).toSet else loaded
    val own = plan.union.isInstanceOf[UnionStrategy.Own]
    val outputs = h.indices.map(b => over(w, h(b), if (own) used intersect called(b) else used))
    val correction = plan.profile.correction(layer)
    val y =
      if (correction == null || (dense && !own)) outputs
      else outputs.zip(h).map { case (o, x) => plus(o, corrected(correction, bucket, x)) }
    (y, Calls(layer, called, loaded, dense))
  }
}
