package io.rollcall.jobs.analysis

import java.util
import java.util.OptionalDouble

import scala.jdk.CollectionConverters._

import io.rollcall.engine.UserException
import io.rollcall.jobs.SparkSuite
import io.rollcall.jobs.analysis.RecordedRuns._
import io.rollcall.jobs.generate.Decoding

class SavingsSuite extends SparkSuite {
  private val sparse = Recorded(
    cells = Seq(
      cell(0, 1, 100, own = 0.5, union = 0.5),
      cell(0, 4, 300, own = 0.3, union = 0.7),
      cell(1, 1, 100, own = 0.4, union = 0.4),
      cell(1, 4, 300, own = 0.2, union = 0.85, dense = 150)),
    generations = Seq(answered("a", 100), answered("b", 50), failed("c", "prompt has 5 tokens")),
    drift = Seq((0, 0.34, 0.30, 0.05), (1, 0.25, 0.20, 0.04)),
    partitions = Seq(0 -> 4.0, 1 -> 8.0))

  private def open(paths: String*): Savings = Savings.open(spark, paths.asJava)

  private def findings(paths: String*): Map[String, Finding] =
    new SavingsFindings(open(paths: _*), util.List.of(), OptionalDouble.empty()).all().asScala
      .map(finding => finding.id -> finding).toMap

  private def near(actual: Double, expected: Double): Unit =
    assert(math.abs(actual - expected) < 1e-6, s"$actual is not $expected")

  test("layers weigh densities by what they are means over and add up bytes") {
    record(spark, path("out"), sparse)
    val layers = open(path("out")).layers().asScala
    assert(layers.map(_.label) == Seq("m-countdown shared", "m-countdown shared"))
    val first = layers.head
    // own density over 100 + 1200 sequences, union density over 400 steps
    near(first.ownDensity, (0.5 * 100 + 0.3 * 1200) / 1300)
    near(first.unionDensity, (0.5 * 100 + 0.7 * 300) / 400)
    near(first.read, (100 * (1 + 2 * 0.5) / 3 + 300 * (1 + 2 * 0.7) / 3) / 400)
    assert(layers(1).denseSteps == 150)
    assert(first.bytesBf16 == first.bytesDense)
  }

  test("cells keep batch sizes apart, with their histograms and the law of independent rows") {
    record(spark, path("out"), sparse)
    val cells = open(path("out")).cells().asScala
    assert(cells.map(c => (c.layer, c.batchSize)) == Seq((0, 1), (0, 4), (1, 1), (1, 4)))
    near(cells(1).independent, 1 - math.pow(0.7, 4))
    assert(cells(1).histogram.toSeq == Seq.fill(14)(0L) ++ Seq(300L) ++ Seq.fill(5)(0L))
  }

  test("folders count together by what their runs did, and a dense run apart") {
    record(spark, path("one"), sparse)
    record(spark, path("two"), sparse)
    record(spark, path("dense"), Recorded(
      method = "dense",
      union = "own",
      cells = Seq(cell(0, 4, 300, own = 1, union = 1, dense = 0)),
      generations = Seq(answered("a", 150)),
      crossover = Seq()))
    val savings = open(path("one"), path("two"), path("dense"), path("one"))
    assert(savings.runs().size == 3)
    assert(savings.totals().rows == 7 && savings.totals().errorRows == 2)
    val steps = savings.layers().asScala.map(l => (l.label, l.layer) -> l.steps).toMap
    assert(steps == Map(
      ("m-countdown shared", 0) -> 800L, ("m-countdown shared", 1) -> 800L, ("dense", 0) -> 300L))
    assert(savings.cells().asScala.forall(_.label == "m-countdown shared"))
    val own = savings.sql(
      "SELECT label, count(*) FROM generations JOIN runs USING (run_id) GROUP BY label ORDER BY label")
    assert(own.collect().map(row => row.getString(0) -> row.getLong(1)).toMap ==
      Map("dense" -> 1L, "m-countdown shared" -> 6L))
  }

  test("errors are counted by kind and partitions sorted by their seconds") {
    record(spark, path("out"), sparse.copy(generations =
      sparse.generations :+ failed("d", "prompt has 77 tokens") :+ failed("e", "the prompt is null")))
    val savings = open(path("out"))
    assert(savings.errors().asScala.map(kind => (kind.error, kind.rows)) ==
      Seq(("prompt has # tokens", 2L), ("the prompt is null", 1L)))
    assert(savings.slowest().asScala.map(p => (p.partition, p.seconds)) == Seq((1, 8.0), (0, 4.0)))
  }

  test("prompt tokens are those of prompts that were answered") {
    val long = failed("long", "prompt has 5000 tokens", 5000)
    record(spark, path("out"), sparse.copy(generations = sparse.generations :+ long))
    assert(open(path("out")).totals().promptTokens == 20)
    record(spark, path("errors"), Recorded(generations = Seq(long)))
    assert(open(path("errors")).totals().promptTokens == 0)
  }

  test("sentences say what the tables say") {
    record(spark, path("out"), sparse)
    val found = findings(path("out"))
    assert(found("bytes").sentences.get(0) ==
      "m-countdown shared read 375 MB of feed-forward weights where dense would have read 461 MB:" +
      " 19 % saved.")
    assert(found("bytes").sentences.get(1).startsWith("Layer 0 saved most, 23.3 %, and layer 1 least, 13."))
    assert(found("unions").text.contains("With 4 in a step a sequence of m-countdown shared called 25 %"))
    assert(found("crossover").text.startsWith(
      "No layer of m-countdown shared ran dense in half of its steps; over all layers 18.8 % of the steps"))
    assert(found("crossover").text.contains("faster from a union of 80 % on"))
    assert(found("drift").text.contains("called 29.5 % of the rows on average, where its calibration saw 25.0 %"))
    assert(found("drift").text.contains("Layer 1 was furthest off, at 125 % of the bound"))
    assert(found("quality").charts.isEmpty)
    found.values.foreach(finding => assert(finding.sentences.size == 2, finding.id))
  }

  test("a crossover that was given is not said to be measured") {
    record(spark, path("out"), sparse.copy(given = true))
    assert(findings(path("out"))("crossover").text.contains("were to run dense from a union of 80 % on"))
    record(spark, path("never"), sparse.copy(given = true, crossover = Seq(2)))
    assert(findings(path("never"))("crossover").text.contains("no layer was to run dense"))
  }

  test("costs are beside dense runs where there are some, else at most what bytes allow") {
    record(spark, path("out"), sparse)
    val alone = findings(path("out"))("cost")
    // 12 s for 150 tokens
    assert(alone.table.rows.get(0).get(1) == "22.22")
    assert(alone.estimate)
    near((2 + 10 * 460.8 / 375.36) / 150 * 1e6 / 3600, alone.charts.get(0).series.get(1).y()(0))
    record(spark, path("dense"), Recorded(
      method = "dense", union = "own", generations = Seq(answered("a", 150)), crossover = Seq(),
      decodeSeconds = 16))
    val beside = findings(path("out"), path("dense"))("cost")
    assert(!beside.estimate)
    assert(beside.table.rows.get(0).asScala.drop(1) ==
      Seq("22.22", "33.33", "33 %", "measured in dense runs"))
    assert(beside.text.contains("That is 33 % saved"))
  }

  test("a dense run of another batch size, length or context is no measure of the cost") {
    record(spark, path("out"), sparse)
    val dense = Recorded(
      method = "dense", union = "own", generations = Seq(answered("a", 150)), crossover = Seq(),
      decodeSeconds = 98)
    def basis(paths: String*) = findings(path("out") +: paths: _*)("cost").table.rows.get(0).get(4)
    val bound = basis()
    val others = Seq(
      "batch" -> Decoding.greedy(1, 8),
      "length" -> Decoding.greedy(4, 16),
      "context" -> new Decoding(4, 8, 512, 0, 1, 0, null))
    others.foreach { case (name, decoding) =>
      record(spark, path(name), dense.copy(decoding = decoding))
      assert(basis(path(name)) == bound, name)
    }
    record(spark, path("same"), dense.copy(decodeSeconds = 16))
    val beside = findings(path("out") +: path("same") +: others.map(o => path(o._1)): _*)("cost")
    assert(beside.table.rows.get(0).asScala.drop(1) ==
      Seq("22.22", "33.33", "33 %", "measured in dense runs"))
  }

  test("sparse runs of several batch sizes are each set beside the dense run of theirs") {
    val one = Decoding.greedy(1, 8)
    val dense = Recorded(
      method = "dense", union = "own", generations = Seq(answered("a", 150)), crossover = Seq(),
      decodeSeconds = 16)
    record(spark, path("four"), sparse)
    record(spark, path("dense four"), dense)
    record(spark, path("one"), sparse.copy(decoding = one, decodeSeconds = 34))
    val outputs = Seq("four", "dense four", "one").map(path)
    def row(paths: Seq[String]) = findings(paths: _*)("cost").table.rows.get(0).asScala.drop(1)
    assert(row(outputs).last != "measured in dense runs")
    record(spark, path("dense one"), dense.copy(decoding = one, decodeSeconds = 52))
    // 12 + 36 s sparse and 18 + 54 s dense for 300 tokens
    assert(row(outputs :+ path("dense one")) ==
      Seq("44.44", "66.67", "33 %", "measured in dense runs"))
  }

  test("dense runs alone are answered with why there is nothing to show") {
    record(spark, path("dense"), Recorded(
      method = "dense", union = "own", generations = Seq(answered("a", 150)), crossover = Seq()))
    findings(path("dense")).values.foreach { finding =>
      assert(finding.charts.isEmpty && finding.sentences.size == 2, finding.id)
    }
  }

  test("rows of a run that has not succeeded are left out, and break no finding") {
    record(spark, path("out"), sparse)
    val alone = open(path("out")).totals()
    record(spark, path("killed"), sparse)
    for (file <- new java.io.File(path("killed/runs")).listFiles if file.getName.endsWith(".json")) {
      val json = java.nio.file.Files.readString(file.toPath)
      new java.io.File(file.getParent, "." + file.getName + ".crc").delete()
      java.nio.file.Files.writeString(file.toPath, json.replace("succeeded", "publishing"))
    }
    assert(open(path("out"), path("killed")).totals() == alone)
    assert(findings(path("out"), path("killed")).keySet == findings(path("out")).keySet)
    assert(intercept[UserException](open(path("killed"))).getMessage.contains("no rows of a run that succeeded"))
  }

  test("a folder that is no output, has no finished run or no rows is refused in a line") {
    def refused(path: String): String = {
      val message = intercept[UserException](open(path)).getMessage
      assert(message.linesIterator.size == 1)
      message
    }
    assert(refused(path("none")).contains("has no runs/*.json; give a folder that generate"))
    record(spark, path("failed"), Recorded(status = "failed"))
    assert(refused(path("failed")).contains("has finished: there are no tables to read"))
    record(spark, path("empty"), Recorded())
    assert(refused(path("empty")).contains("have no rows"))
    new java.io.File(path("odd/runs")).mkdirs()
    write("odd/runs/x.json", "{]")
    assert(refused(path("odd")).contains("cannot be read"))
  }
}
