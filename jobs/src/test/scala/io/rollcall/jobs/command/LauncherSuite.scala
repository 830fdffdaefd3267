package io.rollcall.jobs.command

import java.nio.file.{Files, Path}

import scala.sys.process._

import io.rollcall.jobs.SparkSuite

/** jobs/bin/rollcall with a spark-submit that prints what it was given. */
class LauncherSuite extends SparkSuite {
  private def launch(link: Boolean = false)(arguments: String*): Seq[String] = {
    val root = Path.of(path("a project"))
    for (folder <- Seq("jobs/bin", "jobs/target/spark/jars", "spark home/bin", "elsewhere"))
      Files.createDirectories(root.resolve(folder))
    val real = Path.of(System.getProperty("rollcall.root")).resolve("jobs/bin/rollcall")
    val launcher = Files.copy(real, root.resolve("jobs/bin/rollcall"))
    Files.createFile(root.resolve("jobs/target/rollcall-jobs.jar"))
    val submit = root.resolve("spark home/bin/spark-submit")
    Files.writeString(
      submit,
      """#!/usr/bin/env bash
        |printf '%s\n' "$@"
        |echo "memory $SPARK_DRIVER_MEMORY"
        |""".stripMargin)
    submit.toFile.setExecutable(true)
    val called =
      if (link) Files.createSymbolicLink(root.resolve("elsewhere/roll"), launcher) else launcher
    Process(
      Seq("bash", called.toString) ++ arguments,
      root.resolve("elsewhere").toFile,
      "SPARK_HOME" -> root.resolve("spark home").toString,
      "SPARK_DRIVER_MEMORY" -> "").lazyLines.toSeq
  }

  private def jar = path("a project") + "/jobs/target/rollcall-jobs.jar"

  test("options are the command's up to --, then spark-submit's") {
    val lines = launch()("generate", "--input", "my docs", "--", "--master", "yarn")
    assert(lines.containsSlice(Seq("--master", "yarn", jar, "generate", "--input", "my docs")))
    assert(lines.startsWith(Seq("--class", "io.rollcall.jobs.Main")))
  }

  test("it works through a link, from any directory, with a default of driver memory") {
    val lines = launch(link = true)("demo")
    assert(lines.containsSlice(Seq(jar, "demo")))
    assert(lines.last.matches("memory \\d+m"))
  }
}
