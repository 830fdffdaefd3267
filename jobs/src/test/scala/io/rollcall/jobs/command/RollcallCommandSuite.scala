package io.rollcall.jobs.command

import java.io.{ByteArrayOutputStream, PrintStream}

import com.fasterxml.jackson.databind.ObjectMapper
import org.scalatest.funsuite.AnyFunSuite

/** What is refused before Spark starts, and what runs without it. */
class RollcallCommandSuite extends AnyFunSuite {
  private val paths = Seq("--input", "in", "--output", "out")

  private def run(arguments: String*): (Int, String, String) = {
    val out = new ByteArrayOutputStream
    val err = new ByteArrayOutputStream
    val (realOut, realErr) = (System.out, System.err)
    System.setOut(new PrintStream(out, true))
    System.setErr(new PrintStream(err, true))
    try (RollcallCommand.run(arguments: _*), out.toString, err.toString)
    finally {
      System.setOut(realOut)
      System.setErr(realErr)
    }
  }

  private def refused(arguments: String*): String = {
    val (status, _, err) = run(arguments: _*)
    assert(status == 2, err)
    assert(err.linesIterator.size == 1, err)
    err
  }

  test("help exits with 0 and every command has it") {
    assert(run("--help")._1 == 0)
    for (command <- Seq("demo", "generate", "train-predictor", "evaluate", "report", "bench")) {
      val (status, out, _) = run(command, "--help")
      assert(status == 0)
      assert(out.contains(s"Usage: rollcall $command"))
      assert(out.linesIterator.forall(_.length <= 100))
    }
  }

  test("help shows the defaults of reference.conf") {
    assert(run("generate", "--help")._2.contains("builtin:summarizer-20m)"))
  }

  test("a missing command, an unknown one and an unknown option are wrong usage") {
    assert(refused().contains("no command given"))
    assert(refused("summon").contains("summon"))
    assert(refused("generate" +: paths :+ "--fast": _*).contains("--fast"))
    assert(refused("generate", "--output", "out").contains("--input"))
  }

  test("values and combinations that cannot be are wrong usage") {
    val bad = Seq(
      Seq("--mode", "merge") -> "error, overwrite, append or resume",
      Seq("--batch-size", "0") -> "batch size 0",
      Seq("--batch-size", "many") -> "--batch-size",
      Seq("--method", "magic") -> "m-countdown",
      Seq("--union", "all") -> "budget:<fraction>",
      Seq("--weights", "int2") -> "bf16, int8 or int4",
      Seq("--backend", "gpu") -> "auto, cpu or cuda",
      Seq("--profile", "p", "--method", "cats") -> "--profile",
      Seq("--method", "dense", "--sparsity", "0.5") -> "--sparsity",
      Seq("--method", "d-countdown", "--sparsity", "0.5") -> "needs a profile with a predictor",
      Seq("--sparsity", "1.5") -> "outside (0, 1)",
      Seq("--top-p", "0.5") -> "--temperature",
      Seq("--keep-columns", "model") -> "--keep-columns",
      Seq("--limit", "-1") -> "--limit",
      Seq("--partitions", "-1") -> "--partitions",
      Seq("--crossover", "often") -> "measured, never or a union density",
      Seq("--crossover", "0.5", "--method", "dense") -> "--crossover")
    bad.foreach { case (options, words) =>
      assert(refused("generate" +: (paths ++ options): _*).contains(words), options)
    }
  }

  test("neuron scales are refused for methods that leave no factor out") {
    for (option <- Seq("--neuron-scales", "--no-neuron-scales"))
      assert(
        refused("calibrate" +: (paths ++ Seq("--method", "d-countdown-oracle", "--sparsity", "0.5", option)): _*)
          .contains("d-countdown-oracle leaves out none"))
  }

  test("a predictor that cannot be trained is wrong usage") {
    val bad = Seq(
      Seq("--sparsity", "1") -> "--sparsity 1.0 is outside (0, 1)",
      Seq("--sparsity", "0.7", "--method", "m-countdown") -> "no predictor to train",
      Seq("--sparsity", "0.7", "--rank", "0") -> "--rank 0",
      Seq("--sparsity", "0.7", "--epochs", "0") -> "--epochs 0",
      Seq("--sparsity", "0.7", "--backend", "cuda") -> "--backend cpu",
      Seq("--sparsity", "0.7", "--union", "all") -> "budget:<fraction>")
    bad.foreach { case (options, words) =>
      assert(refused("train-predictor" +: (paths ++ options): _*).contains(words), options)
    }
    assert(refused("train-predictor" +: paths: _*).contains("--sparsity"))
  }

  test("evaluate refuses lists without their mates, and what it has no use for") {
    val evaluate = "evaluate" +: paths
    assert(refused(evaluate: _*).contains("--references-column"))
    val bad = Seq(
      Seq("--methods", "cats") -> "give --sparsities too",
      Seq("--sparsities", "0.5") -> "give --methods too",
      Seq("--methods", "magic", "--sparsities", "0.5") -> "unknown method 'magic'",
      Seq("--methods", "cats", "--sparsities", "0.5,2") -> "2.0 is outside (0, 1)",
      Seq("--methods", "d-countdown", "--sparsities", "0.5") -> "give it with --profile",
      Seq("--union", "own") -> "profiles bring their own",
      Seq("--max-loss", "0") -> "--max-loss 0.0 is not above 0",
      Seq("--temperature", "1") -> "--temperature",
      Seq("--keep-columns", "a") -> "Unknown options: '--keep-columns'")
    bad.foreach { case (options, words) =>
      assert(refused(evaluate ++ Seq("--references-column", "r") ++ options: _*).contains(words), options)
    }
  }

  test("a report needs an output to read, a page to write and a price above 0") {
    assert(refused("report", "--output", "a.html").contains("--input"))
    assert(refused("report", "--input", "a").contains("--output"))
    assert(refused("report", "--input", "a", "--output", "a.pdf").contains("does not end in .html"))
    assert(refused("report", "--input", "a", "--output", "a.html", "--price-per-gpu-hour", "0")
      .contains("--price-per-gpu-hour 0.0 is not above 0"))
  }

  test("bench refuses threads that cannot be before it loads the model") {
    for (workers <- Seq("0", "-2"))
      assert(refused("bench", "--workers", workers, "--model", "/none").contains(s"--workers $workers is below 1"))
  }

  test("bench prints a JSON line for each configuration, its speeds named as evaluate's metrics name them") {
    val (status, out, err) =
      run("bench", "--methods", "dense", "--batch-sizes", "1", "--context", "8", "--workers", "1")
    assert(status == 0, err)
    val line = new ObjectMapper().readTree(out)
    assert(line.path("method").asText == "dense" && line.path("batch_size").asInt == 1)
    for (speed <- Seq("prefill_tokens_per_s", "decode_tokens_per_s"))
      assert(line.path(speed).asDouble > 0, out)
  }

  test("a system property changes a default") {
    System.setProperty("rollcall.weights", "int2")
    com.typesafe.config.ConfigFactory.invalidateCaches()
    try assert(refused("generate" +: paths: _*).contains("int2"))
    finally {
      System.clearProperty("rollcall.weights")
      com.typesafe.config.ConfigFactory.invalidateCaches()
    }
  }
}
