package io.rollcall.kernels.cuda

import java.nio.file.{Files, Path, StandardOpenOption}
import java.util.Comparator

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

/** build.sh on a copy of the module, on a machine that has no nvcc as far as it can see. */
class FatbinsSuite extends AnyFunSuite {
  private val module = Path.of(System.getProperty("rollcall.root"), "kernels")
  private val resources = "src/main/resources/io/rollcall/kernels/cuda"

  private def withCopy(test: Path => Unit): Unit = {
    val copy = Files.createTempDirectory("fatbins")
    def copyTree(from: Path): Unit =
      Files.walk(from).iterator().asScala.filter(Files.isRegularFile(_)).foreach { file =>
        val to = copy.resolve(module.relativize(file).toString)
        Files.createDirectories(to.getParent)
        Files.copy(file, to)
        to.toFile.setExecutable(file.toFile.canExecute)
      }
    try {
      copyTree(module.resolve("src/main/cuda"))
      copyTree(module.resolve(resources))
      test(copy)
    } finally Files.walk(copy).sorted(Comparator.reverseOrder[Path]()).forEach(Files.delete(_))
  }

  private def build(copy: Path, arguments: String*): (Int, String) = {
    assume(!Files.exists(Path.of("/usr/bin/nvcc")), "nvcc cannot be hidden")
    val builder = new ProcessBuilder((Seq("bash", copy.resolve("src/main/cuda/build.sh").toString) ++ arguments).asJava)
    builder.environment().put("PATH", "/usr/bin:/bin")
    builder.environment().put("CUDA_HOME", "/nowhere")
    builder.environment().remove("ROLLCALL_FATBINS")
    builder.redirectErrorStream(true)
    val process = builder.start()
    val output = new String(process.getInputStream.readAllBytes())
    (process.waitFor(), output)
  }

  test("without nvcc, fatbins of these sources are taken as they are") {
    withCopy { copy =>
      val (status, output) = build(copy)
      assume(status == 0 || !output.contains("are not of these sources"), "kept as they are by ROLLCALL_FATBINS")
      assert(status == 0 && output.isEmpty, output)
      val index = Files.readAllLines(copy.resolve("target/classes/io/rollcall/kernels/cuda/fatbins.index")).asScala
      assert(index.filterNot(_.startsWith("#")).toSet == Fatbins.all().keySet().asScala)
    }
  }

  test("without nvcc, sources that were changed after their fatbins fail the build") {
    withCopy { copy =>
      Files.writeString(copy.resolve("src/main/cuda/common.cuh"), "// changed\n", StandardOpenOption.APPEND)
      val (status, output) = build(copy)
      assert(status != 0 && output.contains("are not of these sources") && output.contains("no nvcc"), output)
      assert(build(copy, "--check")._1 != 0)
    }
  }

  test("a fatbin that was changed or whose source is gone fails the check") {
    withCopy { copy =>
      assume(build(copy, "--check")._1 == 0, "kept as they are by ROLLCALL_FATBINS")
      val fatbin = Files.list(copy.resolve(resources)).iterator().asScala.find(_.toString.endsWith(".fatbin.gz")).get
      val name = fatbin.getFileName.toString.stripSuffix(".fatbin.gz")
      val bytes = Files.readAllBytes(fatbin)
      Files.write(fatbin, bytes :+ 0.toByte)
      assert(build(copy, "--check")._2.contains(name))
      Files.write(fatbin, bytes)
      assert(build(copy, "--check")._1 == 0)
      Files.delete(copy.resolve(s"src/main/cuda/$name.cu"))
      assert(build(copy, "--check")._2.contains(name))
    }
  }
}
