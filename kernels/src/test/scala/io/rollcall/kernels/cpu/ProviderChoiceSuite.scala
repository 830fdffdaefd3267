package io.rollcall.kernels.cpu

import java.nio.file.Paths

import scala.sys.process._

import io.rollcall.kernels.WorkerPool
import org.scalatest.funsuite.AnyFunSuite

/** Which provider a fresh JVM chooses, and what it says. */
class ProviderChoiceSuite extends AnyFunSuite {
  private val java = Paths.get(sys.props("java.home"), "bin", "java").toString

  /** Output of a child JVM that runs a main of the test classes. */
  private def child(arguments: String*): (Int, String) = {
    val out = new StringBuilder
    val logger = ProcessLogger(line => out.append(line).append('\n'))
    val exit = Process(Seq(java, "-cp", sys.props("java.class.path")) ++ arguments).!(logger)
    (exit, out.toString)
  }

  test("without the vector module plain Java computes, and one line says which flag to add") {
    val (exit, out) = child("io.rollcall.kernels.cpu.ProviderProbe")
    assert(exit == 0, out)
    assert(out.contains("kernels: cpu: plain Java"), out)
    assert(out.linesIterator.count(_.contains("--add-modules jdk.incubator.vector")) == 1, out)
  }

  test("with the vector module the Vector API computes, and one line says so") {
    val (exit, out) = child(
      "--add-modules", "jdk.incubator.vector", "io.rollcall.kernels.cpu.ProviderProbe")
    assert(exit == 0, out)
    assert(out.contains("kernels: cpu: Vector API"), out)
    assert(out.linesIterator.count(_.contains("CPU kernels: Vector API")) == 1, out)
  }

  for (bytes <- Seq(16, 32))
    test(s"vectors of ${bytes * 8} bits pass the same tests as wider ones") {
      val (exit, out) = child(
        "--add-modules", "jdk.incubator.vector", s"-XX:MaxVectorSize=$bytes",
        "org.scalatest.tools.Runner", "-oW", "-R", ".",
        "-s", "io.rollcall.kernels.cpu.ProvidersAgreeSuite",
        "-s", "io.rollcall.kernels.cpu.BatchInvarianceSuite")
      assert(exit == 0, out)
      assert(out.contains(s"CPU kernels: Vector API, ${bytes * 8} bits"), out)
      assert(out.contains("All tests passed"), out)
    }
}

/** Two kernels made, one product computed. */
object ProviderProbe {
  def main(arguments: Array[String]): Unit = {
    val pool = new WorkerPool(1)
    CpuKernels.create(pool)
    val kernels = CpuKernels.create(pool)
    val x = Array(1f, 2f)
    kernels.add(x, x, 2)
    require(x.toSeq == Seq(2f, 4f))
    println("kernels: " + kernels.description)
  }
}
