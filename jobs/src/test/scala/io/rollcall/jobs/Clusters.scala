package io.rollcall.jobs

import java.io.File
import java.net.ServerSocket
import java.nio.file.{Files, Path}
import java.util.Properties

import scala.jdk.CollectionConverters._

import io.rollcall.jobs.runtime.RollcallPlugin
import org.apache.spark.sql.SparkSession

/** Real executor processes on this machine. */
object Clusters {
  /** Executors start in directories of their own. */
  private val classPath = System
    .getProperty("java.class.path")
    .split(File.pathSeparator)
    .map(Path.of(_).toAbsolutePath.toString)
    .mkString(File.pathSeparator)

  /** Two executors of one core each. Stops the session of this JVM first. */
  def local(): SparkSession = session("local-cluster[2,1,2048]")

  /**
   * One worker that a discovery script told of GPUs, an executor for each, with the settings of
   * conf/spark-gpu.conf that do not concern the size of this machine.
   */
  def withGpus(gpus: Int, discoveryScript: String): SparkSession = {
    val file = new Properties
    file.load(Files.newInputStream(Path.of(System.getProperty("rollcall.root"), "conf", "spark-gpu.conf")))
    val defaults = file.asScala.toMap.map { case (name, value) => name -> value.trim } --
      Seq("spark.files", "spark.executor.memory", "spark.executor.memoryOverhead")
    val here = Map(
      "spark.executor.cores" -> "1",
      "spark.task.cpus" -> "1",
      "spark.executor.resource.gpu.discoveryScript" -> discoveryScript,
      "spark.worker.resource.gpu.amount" -> gpus.toString,
      "spark.worker.resource.gpu.discoveryScript" -> discoveryScript)
    session(s"local-cluster[1,$gpus,2048]", (defaults ++ here).toSeq: _*)
  }

  private def session(master: String, settings: (String, String)*): SparkSession = {
    SparkSuite.stop()
    val builder = SparkSession
      .builder()
      .master(master)
      .appName("rollcall cluster tests")
      .config("spark.ui.enabled", "false")
      .config("spark.sql.shuffle.partitions", "2")
      .config("spark.executor.memory", "1g")
      .config("spark.executor.extraClassPath", classPath)
      .config("spark.plugins", classOf[RollcallPlugin].getName)
    settings.foreach { case (name, value) => builder.config(name, value) }
    builder.getOrCreate()
  }

  /**
   * A standalone cluster of two workers with an address each, since Spark places no speculative copy
   * on the host of the first attempt.
   */
  final class Standalone(settings: (String, String)*) extends AutoCloseable {
    private val port = {
      val socket = new ServerSocket(0)
      try socket.getLocalPort
      finally socket.close()
    }
    private val url = s"spark://127.0.0.1:$port"
    private val work = Files.createTempDirectory("workers").toString
    private val processes =
      daemon("master.Master", "--host", "127.0.0.1", "--port", port.toString) +:
        Seq("127.0.0.1", "127.0.0.2").map { host =>
          daemon(
            "worker.Worker", "--host", host, "--cores", "1", "--memory", "1g", "--work-dir", work,
            url)
        }

    val session: SparkSession = Clusters.session(url, settings: _*)

    private def daemon(name: String, arguments: String*): Process = {
      val java = Path.of(System.getProperty("java.home"), "bin", "java").toString
      val command = Seq(java, "-Xmx256m", "-cp", classPath, s"org.apache.spark.deploy.$name") ++
        arguments ++ Seq("--webui-port", "0").filter(_ => name.startsWith("master"))
      val builder = new ProcessBuilder(command: _*)
      builder.redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD)
      builder.start()
    }

    override def close(): Unit = {
      session.stop()
      processes.foreach(_.destroy())
      processes.foreach(_.waitFor())
    }
  }
}
