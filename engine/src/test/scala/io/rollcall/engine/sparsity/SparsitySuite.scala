package io.rollcall.engine.sparsity

import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException
import io.rollcall.kernels.{RowIndex, WeightType}

class SparsitySuite extends AnyFunSuite {

  test("bytes follow each method's formula, at each precision") {
    val (d, f, rows) = (64L, 100L, 30)
    for ((weights, perRow) <- Seq(WeightType.BF16 -> 2 * d, WeightType.INT8 -> (d + 2 * d / 32))) {
      val cost = new FeedForwardCost(d.toInt, f.toInt, weights)
      assert(cost.dense === 3 * f * perRow)
      assert(cost.read(Method.CATS, rows, 0) === (f + 2 * rows) * perRow)
      assert(cost.read(Method.M_COUNTDOWN, rows, 0) === (f + 2 * rows) * perRow)
      assert(cost.read(Method.D_COUNTDOWN_ORACLE, rows, 0) === (2 * f + rows) * perRow)
      assert(cost.read(Method.S_COUNTDOWN_ORACLE, f.toInt, 0) === cost.dense)
      assert(cost.read(null: NeuronScales) === 0)
      assert(cost.read(new NeuronScales("s", java.util.List.of())) === 2 * f)
      assert(cost.read(Method.D_COUNTDOWN, rows, 77) === 77 + 3 * rows * perRow)
    }
  }

  test("buckets hold batch sizes up to powers of two") {
    assert(Seq(1, 2, 3, 4, 5, 8, 9, 32, 33, 64).map(BatchBuckets.of) ===
      Seq(0, 1, 2, 2, 3, 3, 4, 5, 6, 6))
    assert((0 to 6).map(BatchBuckets.largest) === Seq(1, 2, 4, 8, 16, 32, 64))
    assert(BatchBuckets.count(5) === 4)
  }

  test("quantiles interpolate between ranks as a sort would have them") {
    val random = new Random(1)
    for (_ <- 1 to 300) {
      val count = 1 + random.nextInt(60)
      val values = Array.fill(count + 3)(random.nextInt(20).toFloat)
      val sorted = values.take(count).sorted
      val q = random.nextDouble()
      val (low, part) = ((q * (count - 1)).toInt, q * (count - 1) - (q * (count - 1)).toInt)
      val expected = sorted(low) + part * (sorted(math.min(low + 1, count - 1)) - sorted(low))
      assert(math.abs(Quantiles.quantile(values, count, q) - expected) < 1e-4)
    }
  }

  test("a budget keeps the rows with the most energy, ascending, the lower of equals first") {
    val random = new Random(2)
    for (_ <- 1 to 300) {
      val width = 1 + random.nextInt(80)
      val energy = Array.fill(width)(random.nextInt(12).toFloat)
      val union = new RowIndex(width)
      val rows = (0 until width).filter(_ => random.nextBoolean())
      rows.foreach(union.append)
      val budget = random.nextInt(width + 1)
      new BudgetSelector(width).trim(union, energy, budget)
      val expected = rows.sortBy(i => (-energy(i), i)).take(budget).sorted
      assert((0 until union.count).map(union.row) === expected)
    }
  }

  test("the crossover lies where the measured lines meet") {
    assert(math.abs(Crossover.between(Array(0.4, 0.8), Array(50, 90), 80) - 0.7) < 1e-9)
    assert(Crossover.between(Array(0.4, 0.8), Array(10, 12), 80) === 2.0)
    assert(Crossover.between(Array(0.4, 0.8), Array(100, 120), 10) === 0.0)
    val crossover = new Crossover(Array(0.5, 0.9))
    assert(crossover.dense(0, 0.5) && !crossover.dense(1, 0.5) && crossover.dense(7, 0.9))
    assert(!Crossover.never().dense(3, 1.0))
  }

  private def profile = new SparsityProfile(
    "abc", Method.CATS, new UnionStrategy.Budget(0.25), Array(0.7, 0.6), Array(Array(1f, 2f), Array(3f, 4.5f)),
    new SparsityProfile.Calibration("docs", 8, 77, Array(Array(0.3, 0.3)), Array(Array(0.5, 0.6)),
      Array(Array(0.01, 0.02))))

  private def noSiblings(file: String): Array[Byte] = fail(s"$file was read")

  test("a profile survives its file") {
    val back = SparsityProfile.fromJson(profile.toJson, "p.json", noSiblings)
    assert(back.toJson === profile.toJson)
    assert(back.union === new UnionStrategy.Budget(0.25))
    assert(back.threshold(0, 1) === 2f && back.threshold(1, 1) === 4.5f)
    assert(back.threshold(5, 0) === 3f, "the last bucket serves larger ones")
    assert(back.calibration.positions === 77)
  }

  private def predictors(random: Random, layers: Int, rank: Int, d: Int, f: Int) = {
    def bits(n: Int) = Array.fill(n)(random.nextInt(1 << 16).toShort)
    new Predictors("p.safetensors", Seq.fill(layers)(new Predictor(rank, bits(rank * d), bits(f * rank))).asJava)
  }

  test("a profile with predictors survives its two files") {
    val written = new SparsityProfile(
      "abc", Method.D_COUNTDOWN, new UnionStrategy.Shared, Array(0.7), Array(Array(-1f, 2f)), null,
      predictors(new Random(3), layers = 2, rank = 3, d = 5, f = 7))
    val content = written.predictors.write
    val back = SparsityProfile.fromJson(written.toJson, "p.json", file => {
      assert(file === "p.safetensors")
      content
    })
    assert(back.toJson === written.toJson && back.predictorRank === 3)
    for ((a, b) <- back.predictors.layers.asScala.zip(written.predictors.layers.asScala)) {
      assert(a.hidden === 5 && a.intermediate === 7)
      assert(a.a.sameElements(b.a) && a.b.sameElements(b.b))
    }
    val cut = intercept[UserException](
      SparsityProfile.fromJson(written.toJson, "p.json", _ => content.dropRight(4))).getMessage
    assert(cut.contains("p.safetensors") && cut.contains("truncated"))
  }

  test("what predictors are read at and their folds survive the files, and other forms are refused") {
    def bits(n: Int) = Array.fill(n)(7.toShort)
    def predictor(fold: Boolean) =
      new Predictor(64, WeightType.INT4, bits(64 * 32), bits(9 * 64), if (fold) bits(9 * 64) else null)
    def profile(folds: Boolean*) = new SparsityProfile(
      "abc", Method.D_COUNTDOWN, new UnionStrategy.Shared, Array(0.7), Array(Array(-1f, 2f)), null,
      new Predictors("p.safetensors", folds.map(predictor).asJava))
    val written = profile(true, true)
    assert(written.predictorBytes === 64 * (16 + 2) + 18 * (32 + 4))
    val back = SparsityProfile.fromJson(written.toJson, "p.json", _ => written.tensors)
    assert(back.predictors.precision === WeightType.INT4 && back.predictors.folded)
    assert(back.tensors.sameElements(written.tensors) && back.toJson === written.toJson)
    val mixed = intercept[UserException](
      SparsityProfile.fromJson(written.toJson, "p.json", _ => profile(true, false).tensors)).getMessage
    assert(mixed.contains("layer 1") && mixed.contains("train it again"))
    val unknown = intercept[UserException](SparsityProfile.fromJson(
      written.toJson.replace("int4", "int3"), "p.json", _ => written.tensors)).getMessage
    assert(unknown.contains("int3") && unknown.contains("p.json"))
  }

  test("a profile with predictors and corrections survives its two files") {
    val config = io.rollcall.engine.RandomModels.model(1).config
    val fitting = new Corrections.Fitting("docs", 9, 80, 11, 4, Array(0, 4, 4), Array(0.9, 0.8, 0.7), null)
    val random = io.rollcall.engine.RandomModels.corrections(config, seed = 2, rank = 4, buckets = 3)
    val written = new SparsityProfile(
      "abc", Method.D_COUNTDOWN, new UnionStrategy.Shared, Array(0.7), Array(Array(-1f, 2f, 0f)), null,
      predictors(new Random(3), layers = 3, rank = 3, d = 48, f = 100))
      .`with`(new Corrections("p.safetensors", fitting, random.layers))
    val content = written.tensors
    val back = SparsityProfile.fromJson(written.toJson, "p.json", file => {
      assert(file === "p.safetensors")
      content
    })
    assert(back.toJson === written.toJson && back.tensors.sameElements(content))
    assert(back.predictors.layers.size === 3 && back.corrections.fitting.remaining.toSeq === Seq(0.9, 0.8, 0.7))
    back.requireShape(config, "/m")
    val (a, b) = (back.correction(1), written.correction(1))
    assert(a.rank === 4 && a.down.sameElements(b.down) && a.up.sameElements(b.up))
    for (k <- 0 to 5) assert(a.bias(k).sameElements(b.bias(k)))
    assert(back.correction(0).rank === 0)
    assert(back.corrections.parameters === 3 * 3 * 48 + 2 * 2 * 4 * 48)
    val without = back.`with`(null: Corrections)
    assert(!without.toJson.contains("corrections") && without.correction(1) == null)
    val other = io.rollcall.engine.RandomModels.model(1, layers = 2).config
    assert(intercept[UserException](
      profile.`with`(random).requireShape(other, "/m")).getMessage.contains("/m"))
    val lost = intercept[UserException](
      SparsityProfile.fromJson(written.toJson, "p.json", _ => written.predictors.write)).getMessage
    assert(lost.contains("no tensor layers.0.correction.bias") && lost.contains("recover"))
  }

  test("neuron scales survive their file and every change of the profile") {
    val config = io.rollcall.engine.RandomModels.model(1).config
    val scales = io.rollcall.engine.RandomModels.neuronScales(config, 2)
    val corrections = io.rollcall.engine.RandomModels.corrections(config, seed = 2, rank = 4, buckets = 3)
    val scaled = new SparsityProfile(
      "abc", Method.M_COUNTDOWN, new UnionStrategy.Shared, Array(0.7), Array(Array(1f, 2f, 3f)), null)
      .`with`(scales)
    val changed = scaled.`with`(corrections).in("p.safetensors")
    val back = SparsityProfile.fromJson(changed.toJson, "p.json", file => {
      assert(file === "p.safetensors")
      changed.tensors
    })
    assert(back.toJson === changed.toJson && back.toJson.contains("neuron_scales"))
    back.requireShape(config, "/m")
    assert(back.correction(1).rank === 4)
    for ((a, b) <- back.neuronScales.layers.asScala.zip(scales.layers.asScala)) assert(a.sameElements(b))
    assert(back.neuronScales.floats.get(1)(7) === Bf16.value(scales.layers.get(1)(7)))
    assert(!back.`with`(null: NeuronScales).toJson.contains("neuron_scales"))
    val alone = scaled.in("p.safetensors")
    assert(alone.hasTensors && !alone.`with`(null: NeuronScales).hasTensors)
    assert(SparsityProfile.fromJson(alone.toJson, "p.json", _ => alone.tensors).tensors.sameElements(alone.tensors))
  }

  test("neuron scales of another method, shape or kind are refused in one line") {
    val config = io.rollcall.engine.RandomModels.model(1).config
    val scales = io.rollcall.engine.RandomModels.neuronScales(config, 2)
    def message(refused: => Any): String = {
      val text = intercept[UserException](refused).getMessage
      assert(text.linesIterator.size === 1)
      text
    }
    def profile(method: Method) = new SparsityProfile(
      "abc", method, new UnionStrategy.Shared, Array(0.7), Array(Array(1f, 2f, 3f)), null)
    assert(message(profile(Method.S_COUNTDOWN_ORACLE).`with`(scales)).contains("s-countdown-oracle"))
    assert(message(SparsityProfile.dense("abc").`with`(scales)).contains("dense"))
    val cats = profile(Method.CATS).`with`(scales)
    def read(json: String, content: Array[Byte]) = message(SparsityProfile.fromJson(json, "p.json", _ => content))
    val other = read(cats.toJson.replace("\"cats\"", "\"d-countdown-oracle\""), cats.tensors)
    assert(other.contains("p.json") && other.contains("only cats and m-countdown"), other)
    val none = read(cats.toJson, predictors(new Random(3), 3, 2, 5, 7).write)
    assert(none.contains("no tensor layers.0.neuron_scales") && none.contains("calibrate again"), none)
    def tensors(bits: Short*) = new NeuronScales("s", java.util.List.of(bits.toArray))
    for (bad <- Seq(Float.NaN, -1f, Float.PositiveInfinity).map(Bf16.round(_)))
      assert(read(cats.toJson, profile(Method.CATS).`with`(tensors(bad, bad)).tensors).contains("finite"))
    val small = io.rollcall.engine.RandomModels.model(1, layers = 2).config
    assert(message(profile(Method.CATS).`with`(tensors(1, 2)).requireShape(config, "/m")).contains("/m"))
    assert(message(io.rollcall.engine.RandomModels.neuronScales(small, 1) match {
      case two => profile(Method.CATS).`with`(two).requireShape(config, "/m")
    }).contains("3 layers"))
  }

  test("predictors of another shape than the model's are refused") {
    val config = io.rollcall.engine.RandomModels.model(1).config
    def profile(layers: Int, d: Int) = new SparsityProfile(
      "abc", Method.D_COUNTDOWN, new UnionStrategy.Own, Array(0.7), Array(Array.fill(config.layers)(0f)), null,
      predictors(new Random(3), layers, 2, d, config.intermediateSize))
    profile(config.layers, config.hiddenSize).requireShape(config, "/m")
    for (p <- Seq(profile(config.layers - 1, config.hiddenSize), profile(config.layers, 7)))
      assert(intercept[UserException](p.requireShape(config, "/m")).getMessage.contains("p.safetensors"))
  }

  test("a file that is no profile, or another model's, is refused by name") {
    def message(json: String) =
      intercept[UserException](SparsityProfile.fromJson(json, "p.json", noSiblings)).getMessage
    assert(message("{") .contains("profile 'p.json'"))
    assert(message(
      """{"format":1,"model_digest":"a","method":"d-countdown","union":"own","thresholds":[[1]]}""")
      .contains("predictor"))
    assert(message("[1]").contains("profile 'p.json'"))
    assert(message("{}").contains("format"))
    assert(message("""{"format":1,"model_digest":"a","method":"cats","union":"own"}""")
      .contains("no thresholds"))
    assert(message("""{"format":1,"model_digest":"a","method":"dogs","union":"own"}""")
      .contains("dogs"))
    val wrong = intercept[UserException](profile.requireModel("def", "/m")).getMessage
    assert(wrong.contains("abc") && wrong.contains("def") && wrong.contains("/m"))
  }

  test("unknown methods and unions are refused with the list of those there are") {
    val method = intercept[UserException](Method.parse("magic")).getMessage
    assert(method.contains("magic") && method.contains("m-countdown"))
    for (bad <- Seq("mine", "budget:", "budget:x", "budget:0", "budget:1.5", "budget:NaN"))
      assert(intercept[UserException](UnionStrategy.parse(bad)).getMessage.nonEmpty, bad)
    assert(UnionStrategy.parse("budget:0.5").toString === "budget:0.5")
  }
}
