package io.rollcall.jobs.analysis

import java.io.File

import scala.jdk.CollectionConverters._

import io.rollcall.engine.UserException
import io.rollcall.jobs.SparkSuite
import io.rollcall.jobs.report.Pages.{Config, evaluation}

class CalibrationFindingsSuite extends SparkSuite {
  private def evaluated(name: String, configs: Config*): String = {
    new File(path(name)).mkdirs()
    write(s"$name/metrics.json", evaluation(configs: _*))
    path(name)
  }

  private def profile(name: String, thresholds: String, calibration: String = "null"): String =
    write(
      name,
      s"""{"format": 1, "model_digest": "x", "method": "m-countdown", "union": "shared",
         |"sparsity": [0.3], "thresholds": $thresholds, "calibration": $calibration}""".stripMargin)

  private def findings(evaluations: Seq[String], profiles: String*): CalibrationFindings =
    new CalibrationFindings(spark, evaluations.asJava, profiles.asJava)

  test("the frontier leaves out what another beats in bytes and loss") {
    val folder = evaluated(
      "a",
      Config("m-countdown", 0.3, 0.03, 800),
      Config("cats", 0.3, 0.04, 850),
      Config("cats", 0.5, 0.2, 650))
    val frontier = findings(Seq(folder)).frontier()
    assert(frontier.charts.get(0).series.get(0).y().toSeq == Seq(0.03, 0.2))
    assert(frontier.text.contains(
      "m-countdown shared, batch 4 at sparsity 0.3 reads least within 5 % of perplexity: 80 %"))
    assert(frontier.text.contains("2 of 3 configurations are on the frontier"))
  }

  test("profiles are told apart by whether their thresholds depend on the batch") {
    new File(path("a")).mkdirs()
    val aware = profile("aware.json", "[[0.1, 0.2], [0.3, 0.4]]")
    // as evaluate was given it, somewhere else
    profile("a/uniform.json", "[[0.1, 0.2], [0.1, 0.2]]")
    val uniform = "elsewhere/uniform.json"
    val folder = evaluated(
      "a",
      Config("m-countdown", 0.3, 0.03, 800, Some(aware)),
      Config("m-countdown", 0.4, 0.08, 900, Some(uniform)))
    val found = findings(Seq(folder)).batchAware()
    assert(found.sentences.asScala.toSeq == Seq(
      "Profiles with thresholds by batch size read at least 80 % of dense's bytes within 5 % of perplexity" +
        " (m-countdown at sparsity 0.3, batch 4).",
      "Profiles with one threshold for all batch sizes lose at least 8.0 % of perplexity in these evaluations," +
        " for 90 % of dense's bytes (m-countdown at sparsity 0.4, batch 4)."))
    assert(found.charts.get(0).series.asScala.map(_.name).toSet ==
      Set("batch-aware, m-countdown shared, batch 4", "uniform, m-countdown shared, batch 4", "dense"))
  }

  test("recall is the profile's own") {
    val trained = profile(
      "trained.json",
      "[[0.1, 0.2]]",
      """{"corpus": "c", "prompts": 1, "positions": 1, "training": {"rank": 8, "positions": 90,
        |"held_out": 10, "recall": [0.6, 0.8], "precision": [0.5, 0.5], "energy": [0.9, 0.7]}}""".stripMargin)
    val recall = findings(Seq(), trained).recall()
    assert(recall.text == "The predictor of rank 8 finds 70 % of the rows that its oracle calls, and with them" +
      " 80 % of their energy, on 10 held-out positions. Layer 1 is hardest to predict: 80 % of its rows and" +
      " 70 % of its energy.")
    assert(recall.table.rows.get(1).asScala.toSeq == Seq("trained.json", "8", "1", "80 %", "50 %", "70 %"))
  }

  test("what is not there is said, and what is no profile refused") {
    val nothing = findings(Seq(evaluated("none")), profile("plain.json", "[[0.1]]")).all().asScala
    nothing.foreach(finding => assert(finding.charts.isEmpty && finding.sentences.size == 2))
    assert(intercept[UserException](findings(Seq(), write("odd.json", "{}"))).getMessage.contains("odd.json"))
    assert(intercept[UserException](findings(Seq(path("missing")))).getMessage.contains("has no metrics.json"))
  }
}
