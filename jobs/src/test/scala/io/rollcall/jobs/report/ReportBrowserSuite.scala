package io.rollcall.jobs.report

import java.io.{ByteArrayInputStream, File}
import java.nio.file.{Files, Path}
import java.util
import java.util.OptionalDouble
import java.util.logging.Level
import javax.imageio.ImageIO

import scala.jdk.CollectionConverters._

import io.rollcall.engine.sparsity.Crossover
import io.rollcall.jobs.SparkSuite
import io.rollcall.jobs.analysis.RecordedRuns.record
import io.rollcall.jobs.generate.{GenerateAction, Requests}
import org.openqa.selenium.{By, OutputType}
import org.openqa.selenium.chrome.{ChromeDriver, ChromeDriverService, ChromeOptions}
import org.openqa.selenium.logging.{LogType, LoggingPreferences}
import org.openqa.selenium.print.PrintOptions

/** The page as a browser shows it. Cancelled where there is no Chromium with its driver. */
class ReportBrowserSuite extends SparkSuite {
  private val chromium = new File("/usr/bin/chromium")
  private val driver = new File("/usr/bin/chromedriver")

  private def withBrowser(test: ChromeDriver => Unit): Unit = {
    assume(chromium.canExecute && driver.canExecute, "no chromium and chromedriver")
    val options = new ChromeOptions
    options.setBinary(chromium)
    options.addArguments(
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
      "--disable-dev-shm-usage")
    val log = new LoggingPreferences
    log.enable(LogType.BROWSER, Level.ALL)
    options.setCapability("goog:loggingPrefs", log)
    val service =
      new ChromeDriverService.Builder().usingDriverExecutable(driver).usingAnyFreePort().build()
    val browser = new ChromeDriver(service, options)
    try test(browser)
    finally browser.quit()
  }

  private def open(browser: ChromeDriver, page: String, width: Int, scheme: String): Unit = {
    browser.executeCdpCommand(
      "Emulation.setDeviceMetricsOverride",
      util.Map.of("width", width, "height", 900, "deviceScaleFactor", 1, "mobile", width < 500))
    browser.executeCdpCommand(
      "Emulation.setEmulatedMedia",
      util.Map.of(
        "features", util.List.of(util.Map.of("name", "prefers-color-scheme", "value", scheme))))
    browser.get(Path.of(page).toUri.toString)
    assert(browser.executeScript("return innerWidth") == width)
  }

  private def list(browser: ChromeDriver, script: String): Seq[String] =
    browser.executeScript(script).asInstanceOf[util.List[String]].asScala.toSeq.take(10)

  /** Share of a chart's pixels that are of a series: neither ground nor the greys of text and lines. */
  private def coloured(png: Array[Byte]): Double = {
    val image = ImageIO.read(new ByteArrayInputStream(png))
    val pixels = for (x <- 0 until image.getWidth; y <- 0 until image.getHeight) yield {
      val rgb = image.getRGB(x, y)
      val channels = Seq(rgb >> 16 & 255, rgb >> 8 & 255, rgb & 255)
      channels.max - channels.min > 60
    }
    pixels.count(identity).toDouble / pixels.size
  }

  private def check(browser: ChromeDriver, charts: Int, where: String): Unit = {
    val console = browser.manage().logs().get(LogType.BROWSER).getAll.asScala
    assert(console.isEmpty, s"$where: $console")
    assert(browser.executeScript("return performance.getEntriesByType('resource').length") == 0L, where)
    val places = browser.findElements(By.cssSelector(".chart")).asScala
    assert(places.size == charts, where)
    places.zipWithIndex.foreach { case (place, i) =>
      val share = coloured(place.getScreenshotAs(OutputType.BYTES))
      assert(share > 0.0005, s"$where: chart $i has hardly a coloured pixel: $share")
    }
    val wide = "return document.documentElement.scrollWidth - innerWidth"
    assert(browser.executeScript(wide).asInstanceOf[Long] <= 0, s"$where: wider than the window")
    assert(list(browser, ReportBrowserSuite.overlaps) == Seq(), where)
    assert(list(browser, ReportBrowserSuite.faint) == Seq(), where)
  }

  /** Looks at the page of a run, and of an evaluation, in both widths and schemes. */
  private def look(output: String, evaluations: Seq[String], charts: Int): Unit =
    withBrowser { browser =>
      val page = path("page.html")
      new ReportAction(
        spark,
        new ReportRequest(
          util.List.of(output), page, evaluations.asJava, OptionalDouble.empty()))
        .execute()
      for (width <- Seq(390, 1280); scheme <- Seq("light", "dark")) {
        open(browser, page, width, scheme)
        check(browser, charts, s"$width pixels, $scheme")
        // with every table unfolded
        browser.executeScript(
          "document.querySelectorAll('details').forEach(function (one) { one.open = true; })")
        check(browser, charts, s"$width pixels, $scheme, unfolded")
      }
      val pdf = OutputType.BYTES.convertFromBase64Png(browser.print(new PrintOptions).getContent)
      assert(new String(pdf, 0, 5, "US-ASCII") == "%PDF-")
      assert(Files.size(Path.of(page)) < 2 * 1024 * 1024)
    }

  for ((name, run, charts) <- Seq(("two layers", Pages.full, 9), ("32 layers", Pages.deep, 9)))
    test(s"$name: charts drawn, no text over another, readable, in both schemes and widths") {
      record(spark, path("out"), run)
      new File(path("quality")).mkdirs()
      write("quality/metrics.json", Pages.metrics)
      look(path("out"), Seq(path("quality")), charts)
    }

  test("so too of a run of the built-in model") {
    val input = prompts("in", Requests.documents(40): _*)
    // some steps run dense, however busy the machine is, so that no chart is empty
    val request = Requests(input, path("out"), batchSize = 4).withCrossover(Crossover.parse("0.7"))
    new GenerateAction(spark, request).execute()
    look(path("out"), Seq.empty, charts = 8)
  }
}

object ReportBrowserSuite {
  /** Texts of the page, HTML's and the charts', with the box of each line that can be seen. */
  private val texts =
    """function clip(box, node) {
      |  var b = {l: box.left, t: box.top, r: box.right, b: box.bottom};
      |  for (var e = node.parentElement; e; e = e.parentElement) {
      |    if (e.classList.contains('scroll')) {
      |      var c = e.getBoundingClientRect();
      |      b = {l: Math.max(b.l, c.left), t: Math.max(b.t, c.top),
      |        r: Math.min(b.r, c.right), b: Math.min(b.b, c.bottom)};
      |    }
      |  }
      |  return b;
      |}
      |function texts() {
      |  var found = [];
      |  var walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      |  while (walk.nextNode()) {
      |    var node = walk.currentNode;
      |    var parent = node.parentElement;
      |    if (!node.data.trim() || /^(SCRIPT|STYLE)$/.test(parent.tagName) || parent.closest('.skip')
      |        || parent.closest('details:not([open])') && !parent.closest('summary')) {
      |      continue;
      |    }
      |    var range = document.createRange();
      |    range.selectNodeContents(node);
      |    Array.from(range.getClientRects()).forEach(function (rect) {
      |      var box = clip(rect, node);
      |      if (box.r - box.l > 1 && box.b - box.t > 1) {
      |        found.push({text: node.data.trim(), node: node, box: box});
      |      }
      |    });
      |  }
      |  return found;
      |}
      |""".stripMargin

  /** Pairs of texts whose boxes share more than a pixel's width and two of height. */
  val overlaps: String = texts +
    """var all = texts(), pairs = [];
      |for (var i = 0; i < all.length; i++) {
      |  for (var j = i + 1; j < all.length; j++) {
      |    var a = all[i].box, b = all[j].box;
      |    if (all[i].node !== all[j].node && Math.min(a.r, b.r) - Math.max(a.l, b.l) > 1
      |        && Math.min(a.b, b.b) - Math.max(a.t, b.t) > 2) {
      |      pairs.push(all[i].text.slice(0, 40) + ' | ' + all[j].text.slice(0, 40));
      |    }
      |  }
      |}
      |return pairs;""".stripMargin

  /** Texts with less contrast to what is behind them than 4.5, WCAG's AA. */
  val faint: String = texts +
    """function parse(colour) {
      |  var m = colour.match(/[\d.]+/g).map(Number);
      |  return m.length > 3 && m[3] === 0 ? null : m;
      |}
      |function luminance(c) {
      |  var v = c.slice(0, 3).map(function (x) {
      |    x /= 255;
      |    return x <= 0.03928 ? x / 12.92 : Math.pow((x + 0.055) / 1.055, 2.4);
      |  });
      |  return 0.2126 * v[0] + 0.7152 * v[1] + 0.0722 * v[2];
      |}
      |var faint = [];
      |texts().forEach(function (one) {
      |  var parent = one.node.parentElement;
      |  var style = getComputedStyle(parent);
      |  var ink = parse(parent.namespaceURI.endsWith('svg') ? style.fill : style.color);
      |  var ground = null;
      |  for (var e = parent; e && !ground; e = e.parentElement) {
      |    ground = parse(getComputedStyle(e).backgroundColor);
      |  }
      |  var a = luminance(ink), b = luminance(ground || [255, 255, 255]);
      |  var contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      |  if (contrast < 4.5) {
      |    faint.push(one.text.slice(0, 40) + ': ' + contrast.toFixed(1));
      |  }
      |});
      |return faint;""".stripMargin
}
