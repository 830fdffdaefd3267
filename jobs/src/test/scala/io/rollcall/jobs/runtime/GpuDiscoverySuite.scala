package io.rollcall.jobs.runtime

import java.nio.file.{Files, Path}
import java.nio.file.attribute.PosixFilePermissions

import com.fasterxml.jackson.databind.ObjectMapper
import org.scalatest.funsuite.AnyFunSuite

import scala.jdk.CollectionConverters._

/** conf/gpu-discovery.sh with an nvidia-smi of the test's own. */
class GpuDiscoverySuite extends AnyFunSuite {
  import GpuDiscoverySuite._

  private def addresses(gpus: Int, visible: Option[String]): Seq[String] = {
    val process = new ProcessBuilder(script(gpus))
    process.environment.remove("CUDA_VISIBLE_DEVICES")
    visible.foreach(process.environment.put("CUDA_VISIBLE_DEVICES", _))
    val running = process.start()
    val json = new ObjectMapper().readTree(running.getInputStream)
    assert(running.waitFor() == 0)
    assert(json.path("name").asText == "gpu")
    json.path("addresses").elements.asScala.map(_.asText).toSeq
  }

  test("without CUDA_VISIBLE_DEVICES every GPU is told") {
    assert(addresses(3, None) == Seq("0", "1", "2"))
    assert(addresses(1, None) == Seq("0"))
  }

  test("with it the devices that CUDA shows are told, counted from 0") {
    val cases = Seq(
      "2,3" -> 2, " 3 , 0" -> 2, "" -> 0, "-1" -> 0, "1,-1,2" -> 1, "0,7,1" -> 1,
      "GPU-8a1c,GPU-22d0" -> 2, "NoDevFiles" -> 0)
    for ((visible, count) <- cases) {
      assert(addresses(4, Some(visible)) == (0 until count).map(_.toString), visible)
    }
  }

  test("without nvidia-smi it fails and says so") {
    val process = new ProcessBuilder("/usr/bin/env", "bash", real.toString)
    process.environment.put("PATH", bash.getParent.toString)
    assume(!Files.exists(bash.getParent.resolve("nvidia-smi")))
    val running = process.start()
    val error = new String(running.getErrorStream.readAllBytes())
    assert(running.waitFor() == 1)
    assert(error.contains("nvidia-smi found no GPU"))
  }
}

object GpuDiscoverySuite {
  val real: Path = Path.of(System.getProperty("rollcall.root"), "conf", "gpu-discovery.sh")

  private val bash: Path = Seq("/usr/bin/bash", "/bin/bash").map(Path.of(_)).find(Files.exists(_)).get

  /** A script that runs ours as if the host had so many GPUs. */
  def script(gpus: Int): String = {
    val directory = Files.createTempDirectory("gpus")
    executable(directory.resolve("nvidia-smi"), s"seq 0 ${gpus - 1}")
    executable(directory.resolve("discover"), s"""PATH="$directory:$$PATH" exec "$real"""").toString
  }

  private def executable(file: Path, body: String): Path = {
    Files.writeString(file, s"#!/usr/bin/env bash\n$body\n")
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"))
  }
}
