package io.rollcall.notebooks

import java.awt.image.BufferedImage
import java.io.ByteArrayInputStream
import java.util
import java.util.Base64
import javax.imageio.ImageIO

import io.rollcall.jobs.analysis.Chart
import io.rollcall.jobs.analysis.Chart.{Axis, Kind, Series, Unit}
import org.scalatest.funsuite.AnyFunSuite

class ChartImageSuite extends AnyFunSuite {
  private def draw(kind: Kind, categories: Seq[String], series: Series*): BufferedImage = {
    val names = util.List.of(categories: _*)
    val chart = new Chart(
      kind, "A title", new Axis("across", Unit.SHARE), new Axis("up", Unit.SHARE), names,
      util.List.of(series: _*))
    ImageIO.read(new ByteArrayInputStream(Base64.getDecoder.decode(ChartImage.base64(chart))))
  }

  private def count(image: BufferedImage, rgb: Int): Int =
    (for (x <- 0 until image.getWidth; y <- 0 until image.getHeight) yield image.getRGB(x, y) & 0xffffff)
      .count(_ == rgb)

  private def series(name: String, reference: Boolean, y: Double*): Series =
    new Series(name, reference, null, y.toArray, null)

  test("a bar's area follows its height, and what it is compared with is drawn over it") {
    val low = draw(Kind.BARS, Seq("0", "1"), series("a", false, 0.2, 0.2), series("law", true, 1, 1))
    val high = draw(Kind.BARS, Seq("0", "1"), series("a", false, 0.8, 0.8), series("law", true, 1, 1))
    val ratio = count(high, 0x0072b2).toDouble / count(low, 0x0072b2)
    assert(ratio > 3 && ratio < 5, ratio)
    assert(count(low, 0x16191d) > 100)
  }

  test("lines and points have a colour for each series, and gaps are left out") {
    val lines = draw(
      Kind.LINES, Seq("1", "2", "4"), series("a", false, 0.2, 0.5, 0.6), series("b", true, 0.3, Double.NaN, 0.9))
    assert(count(lines, 0x0072b2) > 100 && count(lines, 0xc35a00) > 20)
    val points = draw(
      Kind.POINTS, Seq(),
      new Series("a", false, Array(0.5, 0.7), Array(0.1, 0.02), util.List.of("x", "y")),
      new Series("b", false, Array(0.6), Array(0.05), null))
    assert(count(points, 0x0072b2) > 50 && count(points, 0xc35a00) > 20)
  }

  test("a legend of many or long names is not cut off") {
    val names = Seq.tabulate(12)(i => s"m-countdown shared, batch $i, recovered")
    val image = draw(
      Kind.POINTS, Seq(), names.map(new Series(_, false, Array(0.5, 0.7), Array(0.1, 0.02), null)): _*)
    def white(x: Int, y: Int) = (image.getRGB(x, y) & 0xffffff) == 0xffffff
    for (y <- 0 until image.getHeight) assert(white(image.getWidth - 1, y), y)
    for (x <- 0 until image.getWidth) assert(white(x, image.getHeight - 1), x)
  }
}
