package io.rollcall.jobs.output

import java.nio.file.{Files, Path}

import io.rollcall.engine.UserException
import io.rollcall.jobs.SparkSuite
import org.apache.hadoop.conf.Configuration

class OutputDirectorySuite extends SparkSuite {
  private def directory(name: String) = new OutputDirectory(path(name), new Configuration())

  private def refused(output: OutputDirectory, mode: WriteMode): String =
    intercept[UserException](output.admit(mode)).getMessage

  private def earlierRun(name: String): OutputDirectory = {
    val output = directory(name)
    output.admit(WriteMode.ERROR)
    output.prepare()
    Files.createDirectories(Path.of(path(name), "generations"))
    output.writeRecord("run-1", "{}")
    output
  }

  test("an output that exists is refused with the modes that would do") {
    val message = refused(earlierRun("out"), WriteMode.ERROR)
    assert(message.contains("overwrite, append or resume"))
  }

  test("an empty directory, or one whose run never started, is no output yet") {
    Files.createDirectory(Path.of(path("out")))
    directory("out").admit(WriteMode.ERROR)
    directory("out").prepare()
    directory("out").admit(WriteMode.ERROR)
  }

  test("a directory that Rollcall did not write is left alone in every mode") {
    Files.createDirectories(Path.of(path("home"), "generations"))
    WriteMode.values().filter(_ != WriteMode.ERROR).foreach { mode =>
      assert(refused(directory("home"), mode).contains("not written by Rollcall"))
    }
    assert(Files.exists(Path.of(path("home"), "generations")))
  }

  private def tables(folder: String, part: String): Unit =
    for (table <- Seq("generations", "sparsity")) {
      Files.createDirectories(Path.of(path(s"$folder/$table")))
      write(s"$folder/$table/$part", table)
    }

  private def names(folder: String): Set[String] =
    new java.io.File(path(folder)).list().filterNot(_.endsWith(".crc")).toSet

  test("published tables add to an earlier run's or take their place, and nothing else changes") {
    val output = earlierRun("out")
    tables("out", "part-1")
    write("out/notes.txt", "mine")
    tables("out/.staging/run-2", "part-2")
    tables("out/.staging/run-3", "part-3")
    output.staging("run-2").publish(false)
    output.staging("run-2").discard()
    for (table <- Seq("generations", "sparsity")) assert(names(s"out/$table") == Set("part-1", "part-2"))
    assert(names("out/.staging") == Set("run-3"))

    output.staging("run-3").publish(true)
    output.staging("run-3").discard()
    for (table <- Seq("generations", "sparsity")) assert(names(s"out/$table") == Set("part-3"))
    output.writeRecord("run-3", "{}")
    output.forgetOthers("run-3")
    assert(names("out/runs") == Set("run-3.json"))
    assert(names("out") == Set(".rollcall", "generations", "sparsity", "runs", "notes.txt", "_SUCCESS"))
  }

  for (replace <- Seq(false, true))
    test(s"whenever a driver is killed while it ${if (replace) "replaces" else "adds"} tables, the next run finds all rows once") {
      // one more move each time, until publishing gets through
      var moves = 0
      while ({
        val name = s"out-$moves"
        val output = earlierRun(name)
        tables(name, "part-1")
        tables(s"$name/.staging/run-2", "part-2")
        tables(s"$name/.staging/run-2", "part-3")
        output.writeRecord("run-2", """{"run_id": "run-2", "status": "publishing"}""")
        val configuration = new Configuration()
        configuration.setClass("fs.file.impl", classOf[MortalFileSystem], classOf[org.apache.hadoop.fs.FileSystem])
        configuration.setBoolean("fs.file.impl.disable.cache", true)
        MortalFileSystem.left = moves
        val killed =
          try { new OutputDirectory(path(name), configuration).staging("run-2").publish(replace); false }
          catch { case _: MortalFileSystem.Killed => true }
        directory(name).finishPublishing()
        for (table <- Seq("generations", "sparsity"))
          assert(names(s"$name/$table") == Set("part-2", "part-3") ++ Set("part-1").filterNot(_ => replace))
        assert(!Files.exists(Path.of(path(name), ".staging")))
        val records = output.records().toArray.mkString
        assert(records.contains("succeeded") && !records.contains("publishing"))
        assert(names(s"$name/runs").contains("run-1.json") != replace)
        directory(name).finishPublishing()
        moves += 1
        killed
      }) ()
      assert(moves == (if (replace) 7 else 5))
    }

  test("what was not begun to be published stays where it is") {
    val output = earlierRun("out")
    tables("out/.staging/run-2", "part-2")
    output.finishPublishing()
    assert(names("out/.staging") == Set("run-2") && names("out/generations").isEmpty)
    directory("nothing").finishPublishing()
  }

  test("a run that failed takes what it wrote with it, and no other's") {
    val output = earlierRun("out")
    tables("out/.staging/run-2", "part-2")
    tables("out/.staging/run-3", "part-3")
    output.staging("run-2").discard()
    assert(names("out/.staging") == Set("run-3"))
    output.staging("run-3").discard()
    assert(!Files.exists(Path.of(path("out"), ".staging")))
  }

  test("an output below a file cannot be written") {
    write("file", "")
    assert(refused(directory("file"), WriteMode.ERROR).contains("is a file"))
    val below = directory("file/out")
    assert(intercept[UserException](below.prepare()).getMessage.contains("cannot write output"))
  }

  test("a host that is not known or does not answer is named, and where to look") {
    val configuration = new Configuration()
    configuration.setInt("ipc.client.connect.max.retries", 0)
    def message(path: String): String =
      intercept[UserException](new OutputDirectory(path, configuration).admit(WriteMode.ERROR)).getMessage
    val unknown = message("hdfs://nohost.invalid/out")
    assert(unknown.contains("host 'nohost.invalid' is not known here; check the path, or fs.defaultFS"), unknown)
    val silent = message("hdfs://127.0.0.1:1/out")
    assert(silent.matches(".*nothing answers at (localhost|127\\.0\\.0\\.1):1; check the path.*"), silent)
    for (line <- Seq(unknown, silent)) assert(!line.contains("Exception"), line)
  }

  test("a record is replaced whole") {
    val output = earlierRun("out")
    output.writeRecord("run-1", "{\"status\": \"succeeded\"}")
    output.writeRecord("run-2", "{}")
    assert(output.records().size() == 2)
    assert(output.records().contains("{\"status\": \"succeeded\"}"))
  }

  test("an input among the output's own tables is refused") {
    val output = directory("out")
    output.requireOutside(path("in"))
    intercept[UserException](output.requireOutside(path("out/generations")))
    intercept[UserException](output.requireOutside("file:" + path("out/sparsity/x.parquet")))
  }
}
