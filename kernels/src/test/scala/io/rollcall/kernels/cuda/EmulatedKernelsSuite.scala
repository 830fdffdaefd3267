package io.rollcall.kernels.cuda

import java.nio.file.{Files, Path}
import java.util.Comparator

import org.scalatest.funsuite.AnyFunSuite

/**
 * Kernels' sources, compiled for the CPU (src/test/cuda/emulation/simt.h): what they compute, and that
 * their warps never wait for each other in vain. It stands in for no test on a device.
 */
class EmulatedKernelsSuite extends AnyFunSuite {
  private val checks = Path.of(System.getProperty("rollcall.root"), "kernels/src/test/cuda")

  private def run(folder: Path, command: String*): (Int, String) = {
    val process = new ProcessBuilder(command: _*).directory(folder.toFile).redirectErrorStream(true).start()
    val output = new String(process.getInputStream.readAllBytes())
    (process.waitFor(), output)
  }

  private def withFolder(test: Path => Unit): Unit = {
    val folder = Files.createTempDirectory("emulated")
    try test(folder)
    finally Files.walk(folder).sorted(Comparator.reverseOrder[Path]()).forEach(Files.delete(_))
  }

  private def assumeCompiler(folder: Path): Unit = {
    Files.writeString(folder.resolve("probe.cpp"), "#include <ucontext.h>\n_Float16 half(float x) { return x; }\n")
    val compiles = "${CXX:-g++} -std=c++17 -c probe.cpp"
    assume(run(folder, "bash", "-c", compiles)._1 == 0, "no C++ compiler that knows _Float16")
  }

  /** More than so many of the check's cases come out, all right. */
  private def assertRight(check: String, cases: Int): Unit =
    withFolder { folder =>
      assumeCompiler(folder)
      val (status, output) =
        run(folder, "bash", checks.resolve("run.sh").toString, check, folder.resolve("build").toString)
      assert(status == 0, output)
      assert(output.linesIterator.count(_.endsWith(" right")) > cases, output)
    }

  test("held products, unions, predictors and the sums over them are plain sums") {
    assertRight("held_check.cpp", 100)
  }

  test("wide products, unions, predictors and the sums over them are plain sums, by blocks alone and in clusters") {
    assertRight("wide_check.cpp", 210)
  }
}
