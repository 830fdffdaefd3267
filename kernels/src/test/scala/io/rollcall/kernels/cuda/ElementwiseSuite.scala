package io.rollcall.kernels.cuda

import scala.util.Random

import io.rollcall.kernels.{Activation, Fixtures, WeightType}
import io.rollcall.kernels.cuda.Elementwise.{Norm, Partials}
import org.scalatest.funsuite.AnyFunSuite

class ElementwiseSuite extends AnyFunSuite with DeviceFixture {
  import DeviceFixture.rounded
  import io.rollcall.kernels.Fixtures.{floats => gaussians, pick}

  private lazy val kernels = new Elementwise(context)
  private val widths = Seq(64, 384, 960, 4096, 4160, 5120, 8192, 12288, 16384)
  private val epsilon = 1e-5f
  /** Half a step of f16's 11 bits, and some. */
  private val half = 0.0042f

  private def normed(h: Array[Float], weight: Array[Float]): Array[Float] = {
    val d = weight.length
    h.grouped(d).flatMap { row =>
      val factor = 1 / math.sqrt(row.map(v => v.toDouble * v).sum / d + epsilon)
      row.indices.map(i => (row(i) * factor * weight(i)).toFloat)
    }.toArray
  }

  /** Sums in the kernel's order, so that they agree to the bit. */
  private def summed(hidden: Array[Float], partials: Array[Array[Float]]): Array[Float] =
    hidden.indices.map(i => partials.foldLeft(hidden(i))((sum, p) => sum + p(i))).toArray

  test("hidden takes up the partial sums in order, and x is its norm") {
    onDevice {
      val random = new Random(1)
      for (d <- widths; splits <- Seq(0, 1, 2, 3, 5, 8, 13, 32)) {
        val rows = pick(random, Seq(1, 2, 7, 64))
        val stride = rows * d + 4 * random.nextInt(5)
        val hidden = gaussians(random, rows * d)
        val weight = gaussians(random, d)
        val partials = Array.fill(splits)(gaussians(random, stride))
        val onDevice = upload(hidden)
        val x = allocate(2L * rows * d)
        val norm = new Norm(upload(weight), d, epsilon)
        kernels.residualNorm(
          stream,
          onDevice,
          if (splits == 0) Partials.NONE else new Partials(upload(partials.flatten), splits, stride),
          norm, x, rows)
        stream.synchronize()
        withClue(s"$rows x $d, $splits splits: ") {
          val expected = summed(hidden, partials)
          assert(floats(onDevice, rows * d).sameElements(expected))
          assertClose(f16s(x, rows * d), normed(expected, weight), 1e-6f, half)
        }
        afterEach()
      }
    }
  }

  test("chosen rows are normalised with their partial sums, and hidden stays as it is") {
    onDevice {
      val random = new Random(2)
      for (d <- Seq(64, 4096, 5120, 16384); splits <- Seq(0, 3)) {
        val (rows, all) = (5, 9)
        val list = Array.fill(rows)(random.nextInt(all))
        val hidden = gaussians(random, all * d)
        val weight = gaussians(random, d)
        val partials = Array.fill(splits)(gaussians(random, all * d))
        val onDevice = upload(hidden)
        val x = allocate(2L * rows * d)
        kernels.gatherNorm(
          stream, uploadInts(list), onDevice,
          if (splits == 0) Partials.NONE else new Partials(upload(partials.flatten), splits, all.toLong * d),
          new Norm(upload(weight), d, epsilon), x, rows)
        stream.synchronize()
        val sums = summed(hidden, partials)
        val expected = list.flatMap(r => sums.slice(r * d, (r + 1) * d))
        assertClose(f16s(x, rows * d), normed(expected, weight), 1e-6f, half)
        assert(floats(onDevice, all * d).sameElements(hidden))
        afterEach()
      }
    }
  }

  test("hidden begins as the tokens' embeddings, from a list and from a step's state") {
    onDevice {
      val random = new Random(3)
      for (d <- Seq(64, 384, 4096, 8192, 16384); rows <- Seq(1, 5, 64); step <- Seq(false, true)) {
        val vocabulary = 50
        val table = gaussians(random, vocabulary * d).map(rounded)
        val weight = gaussians(random, d)
        val tokens = Array.fill(rows)(random.nextInt(vocabulary))
        val hidden = allocate(4L * rows * d)
        val x = allocate(2L * rows * d)
        val norm = new Norm(upload(weight), d, epsilon)
        if (step) {
          val state = States.upload(this) { state =>
            tokens.indices.foreach(b => state.set(b, 0, tokens(b), 0, 0, 0, 1))
          }
          kernels.embedStep(stream, state, uploadF16(table), hidden, norm, x, rows)
        } else kernels.embedTokens(stream, uploadInts(tokens), uploadF16(table), hidden, norm, x, rows)
        stream.synchronize()
        val expected = tokens.flatMap(t => table.slice(t * d, (t + 1) * d))
        assert(floats(hidden, rows * d).sameElements(expected))
        assertClose(f16s(x, rows * d), normed(expected, weight), 1e-6f, half)
        afterEach()
      }
    }
  }

  test("the gate's activation multiplies the up projection, rounded once") {
    onDevice {
      val random = new Random(4)
      for (activation <- Activation.values; (rows, f) <- Seq((1, 64), (3, 1536), (130, 14336))) {
        val in = gaussians(random, rows * 2 * f).map(v => rounded(4 * v))
        in(0) = -100f
        in(1) = 100f
        val out = allocate(2L * rows * f)
        kernels.activateAndMultiply(stream, activation, uploadF16(in), out, rows, f)
        stream.synchronize()
        val expected = Array.tabulate(rows * f) { i =>
          val (gate, up) = (in(i / f * 2 * f + i % f).toDouble, in(i / f * 2 * f + f + i % f))
          val active = activation match {
            case Activation.SILU => gate / (1 + math.exp(-gate))
            case Activation.GELU_TANH =>
              0.5 * gate * (1 + math.tanh(math.sqrt(2 / math.Pi) * (gate + 0.044715 * gate * gate * gate)))
            case Activation.RELU => math.max(gate, 0)
          }
          (active * up * Elementwise.NEURON_SCALE).toFloat
        }
        assertClose(f16s(out, rows * f), expected, 1e-6f, half)
        afterEach()
      }
    }
  }

  test("a tensor that arrives in chunks of rows is transposed") {
    onDevice {
      val random = new Random(5)
      for ((rows, columns) <- Seq((64, 64), (384, 1536), (130, 62), (2, 2), (1000, 4096))) {
        val values = gaussians(random, rows * columns).map(rounded)
        val out = allocate(2L * rows * columns)
        var at = 0
        while (at < rows) {
          val chunk = math.min(rows - at, 2 * (1 + random.nextInt(200)))
          val part = uploadF16(values.slice(at * columns, (at + chunk) * columns))
          kernels.transpose(stream, part, chunk, columns, out, rows, at)
          at += chunk
        }
        stream.synchronize()
        assert(
          f16s(out, rows * columns).sameElements(
            Array.tabulate(rows * columns)(i => values(i % rows * columns + i / rows))),
          s"$rows x $columns")
        afterEach()
      }
    }
  }

  test("conversions round to the nearest, in place too, and tell of what f16 has no room for") {
    onDevice {
      val values = gaussians(new Random(6), 100003)
      val out = allocate(2L * values.length)
      val beyond = uploadInts(Array(0))
      kernels.toF16(stream, WeightType.F32, upload(values), out, values.length, beyond)
      stream.synchronize()
      assert(f16s(out, values.length).sameElements(values.map(rounded)))
      val small = values.zipWithIndex.map { case (v, i) => math.scalb(v, -(i % 24)) }
      val stored = Fixtures.bytes(WeightType.BF16, small).array.take(2 * small.length)
      val half = uploadBytes(stored)
      kernels.toF16(stream, WeightType.BF16, half, half, small.length, beyond)
      stream.synchronize()
      val exact = Fixtures.matrix(WeightType.BF16, 1, small.length, small)
      val expected = Array.tabulate(small.length)(i => exact.get(0, i))
      val converted = f16s(half, small.length)
      assert(converted.sameElements(expected.map(rounded)))
      for ((found, wanted) <- converted.zip(expected) if math.abs(wanted) >= 1 / 131072f) assert(found == wanted)
      assert(ints(beyond, 1)(0) == 0)
      for (large <- Seq(65536f, -1e30f, Float.PositiveInfinity, Float.NaN)) {
        stream.zero(beyond, 0, 4)
        kernels.toF16(stream, WeightType.F32, upload(Array(1f, large)), out, 2, beyond)
        stream.synchronize()
        assert(ints(beyond, 1)(0) == 1, large)
      }
      assertThrows[IllegalArgumentException](kernels.toF16(stream, WeightType.INT8, half, out, 1, beyond))
    }
  }
}
