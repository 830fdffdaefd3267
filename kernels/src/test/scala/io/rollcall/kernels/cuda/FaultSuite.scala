package io.rollcall.kernels.cuda

import java.io.File

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

class FaultSuite extends AnyFunSuite with DeviceFixture {
  private val library = "lib/libJCudaDriver-" + jcuda.JCudaVersion.get() + "-linux-x86_64.so"

  /** What a process needs that has nothing of Scala: places of these classes and of JCuda's library. */
  private def classPath: String = {
    val classes = Seq(classOf[FaultProbe], classOf[CudaContext], classOf[jcuda.Pointer],
      classOf[com.sun.jna.Native], classOf[org.slf4j.Logger])
    val places = classes.map(c => new File(c.getProtectionDomain.getCodeSource.getLocation.toURI).getPath)
    val natives = getClass.getClassLoader.getResource(library).getPath.stripPrefix("file:").takeWhile(_ != '!')
    (places :+ natives).distinct.mkString(File.pathSeparator)
  }

  private def probe(checked: Boolean, arguments: String*): Map[String, String] = {
    val java = new File(System.getProperty("java.home"), "bin/java").getPath
    val builder = new ProcessBuilder((Seq(java, "-cp", classPath, classOf[FaultProbe].getName) ++ arguments).asJava)
    builder.environment().put("ROLLCALL_CUDA_CHECK", if (checked) "1" else "0")
    builder.redirectErrorStream(true)
    val process = builder.start()
    val output = new String(process.getInputStream.readAllBytes())
    assert(process.waitFor() == 0, output)
    info(output)
    output.linesIterator.map(_.split(": ", 2)).collect { case Array(k, v) => k -> v }.toMap
  }

  test("a fault names the kernel and its shape, and the context is refused from then on") {
    onDevice {
      val said = probe(checked = false)
      assert(said("fault").contains("write_nowhere [grid 3 x 1 x 1, 32 threads"))
      assert(said("fault").contains("CUDA_ERROR_ILLEGAL_ADDRESS"))
      assert(said("faulted") == "true")
      assert(said("refused").contains("write_nowhere"))
    }
  }

  test("after a fault there is a new context, or the message says that the process must end") {
    onDevice {
      val next = probe(checked = false)("next")
      assert(next.startsWith("works") || next.contains("this process must end"))
    }
  }

  test("a fault within a graph lists the graph's kernels") {
    onDevice {
      val fault = probe(checked = false, "graph")("fault")
      assert(fault.contains("graph 'two kernels' of 2 kernels"))
      assert(fault.contains("write_nowhere [grid 3 x 1 x 1, 32 threads"))
    }
  }

  test("checked mode names the very kernel, in a graph too") {
    onDevice {
      for (arguments <- Seq(Seq(), Seq("graph"))) {
        val fault = probe(checked = true, arguments: _*)("fault")
        assert(fault.startsWith("kernel write_nowhere [grid 3 x 1 x 1, 32 threads"))
        assert(!fault.contains("add"))
      }
    }
  }
}
