package io.rollcall.jobs.command

import java.nio.file.{Files, Path}

import scala.sys.process._

import io.rollcall.engine.UserException
import io.rollcall.jobs.SparkSuite
import io.rollcall.jobs.input.{PromptSource, PromptTable}

/** conf/schedule/daily-summaries.sh with a launcher of the test's own. */
class DailySummariesSuite extends SparkSuite {
  private val day = "2026-03-01"

  private def input = path("documents") + s"/date=$day"

  /** What a call printed, and its status. */
  private def call(launcher: String, environment: (String, String)*)(arguments: String*) = {
    val stub = Path.of(write("launcher", s"#!/usr/bin/env bash\n$launcher\n"))
    stub.toFile.setExecutable(true)
    val script = Path.of(System.getProperty("rollcall.root"), "conf/schedule/daily-summaries.sh")
    val printed = new StringBuilder
    val log = ProcessLogger(line => printed.append(line).append('\n'))
    val paths = Seq(
      "ROLLCALL" -> stub.toString,
      "INPUT" -> path("documents"),
      "OUTPUT" -> path("summaries"),
      "LOCKS" -> stub.getParent.toString)
    val status = Process(Seq(script.toString) ++ arguments, None, paths ++ environment: _*).!(log)
    (printed.toString, status)
  }

  test("a day's documents go to tables of its own, and options are passed on") {
    val (printed, status) = call("""printf '%s\n' "$@"""")(day, "--batch-size", "2", "--", "--master", "yarn")
    val output = path("summaries") + s"/date=$day"
    val expected = Seq("generate", "--input", input, "--output", output, "--mode", "resume",
      "--batch-size", "2", "--", "--master", "yarn")
    assert(printed.linesIterator.toSeq == expected)
    assert(status == 0)
  }

  test("a day without documents ends well, with a status of choice") {
    def refusal: String =
      intercept[UserException](PromptTable.open(spark, PromptSource.of(input)).requirePrompts()).getMessage
    def ends(): Unit = {
      val launcher = s"""echo "rollcall generate: $refusal" >&2; exit 1"""
      val (printed, status) = call(launcher)(day)
      assert(printed.contains(s"$day: no documents in"))
      assert(status == 0)
      assert(call(launcher, "NO_INPUT_STATUS" -> "99")(day)._2 == 99)
    }
    ends()
    Files.createDirectories(Path.of(input))
    ends()
    write(s"documents/date=$day/part-0.jsonl", "")
    ends()
  }

  test("other failures and wrong usage keep their status") {
    assert(call("echo no column >&2; exit 1")(day)._2 == 1)
    assert(call("exit 2")(day)._2 == 2)
    assert(call("exit 0")("2026-02-30")._2 == 2)
  }

  test("a second call for a day that is running is refused, for another day it is not") {
    val script = Path.of(System.getProperty("rollcall.root"), "conf/schedule/daily-summaries.sh")
    def meanwhile(other: String): Int = {
      // the launcher of the first call makes the second
      val launcher = s"""[[ $${SECOND:-} ]] || SECOND=1 "$script" $other"""
      call(launcher)(day)._2
    }
    assert(meanwhile(day) == 75)
    assert(meanwhile("2026-03-02") == 0)
  }
}
