package io.rollcall.jobs.report

import java.nio.file.{Files, Path}
import java.util.OptionalDouble

import scala.jdk.CollectionConverters._

import io.rollcall.engine.UserException
import io.rollcall.jobs.SparkSuite
import io.rollcall.jobs.analysis.RecordedRuns._

class ReportActionSuite extends SparkSuite {
  private def report(inputs: String*)(evaluations: String*): String = {
    val page = path("page.html")
    val request =
      new ReportRequest(inputs.asJava, page, evaluations.asJava, OptionalDouble.of(2.5))
    new ReportAction(spark, request).execute()
    Files.readString(Path.of(page))
  }

  private def refused(inputs: String*)(evaluations: String*): String = {
    val message = intercept[UserException](report(inputs: _*)(evaluations: _*)).getMessage
    assert(message.linesIterator.size == 1)
    message
  }

  test("the page is one file that asks nothing of the network") {
    record(spark, path("out"), Pages.full)
    val html = report(path("out"))()
    // the library's own text names addresses, but none that the page would load
    val own = html.replaceAll("(?s)<script>.*?</script>", "")
    assert(!own.matches("(?s).*(src|href)=\"(?!#).*"))
    assert(own.contains("default-src 'none'"))
    assert(html.contains("19 % of the feed-forward bytes saved"))
  }

  test("it has the headline, all findings with their tables, partitions, errors and configuration") {
    record(spark, path("out"), Pages.full)
    val html = report(path("out"))()
    for (id <- Seq(
        "bytes", "unions", "crossover", "replay", "cost", "drift", "quality", "slowest", "errors",
        "configuration"))
      assert(html.contains(s"""<section id="$id""""), id)
    assert("""<details>\s*<summary>Figures""".r.findAllIn(html).size == 6)
    assert(html.contains("worker-1"))
    assert(html.contains("prompt has # tokens"))
    assert(html.contains("at a price of 2.50"))
  }

  test("what users wrote is text, not markup, and no template") {
    record(spark, path("out"), Pages.full.copy(
      generations = Pages.full.generations :+ failed("x", "<script>alert(1)</script> {{ css }}")))
    val html = report(path("out"))()
    assert(html.contains("&lt;script&gt;alert(#)&lt;/script&gt; {{ css }}"))
    assert(!html.contains("<script>alert"))
    assert(html.contains("in &lt;b&gt;&amp; out&lt;/b&gt;"))
  }

  test("error rows alone make a page too") {
    record(spark, path("out"), Recorded(generations = Seq(failed("a", "the prompt is empty"))))
    val html = report(path("out"))()
    assert(html.contains("No feed-forward bytes were saved"))
    assert(html.contains("the prompt is empty"))
    assert(!html.replaceAll("(?s)<script>.*?</script>", "").contains("NaN"))
  }

  test("a failed run beside one that succeeded is named") {
    record(spark, path("out"), Pages.full)
    val failed = record(spark, path("out"), Recorded(status = "failed"))
    assert(report(path("out"))().contains(s"Run $failed is failed: the job failed: out of luck"))
  }

  test("what cannot be read or written is said in a line") {
    assert(refused(path("none"))().contains("has no runs/*.json"))
    record(spark, path("empty"), Recorded())
    assert(refused(path("empty"))().contains("have no rows"))
    record(spark, path("out"), Pages.full)
    assert(refused(path("out"))(path("none")).contains("has no metrics.json; give a folder that evaluate"))
    new java.io.File(path("odd")).mkdirs()
    write("odd/metrics.json", "{}")
    assert(refused(path("out"))(path("odd")).contains("is not what evaluate writes"))
    new java.io.File(path("page.html")).mkdirs()
    assert(refused(path("out"))().contains("cannot write report"))
  }
}
