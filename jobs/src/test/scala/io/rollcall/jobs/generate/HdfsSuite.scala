package io.rollcall.jobs.generate

import java.nio.file.{Files, Path => LocalPath}

import scala.jdk.CollectionConverters._

import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.jobs.SparkSuite
import io.rollcall.jobs.input.PromptSource
import io.rollcall.jobs.output.WriteMode
import io.rollcall.jobs.runtime.{BackendChoice, ModelSource}
import io.rollcall.kernels.WeightType
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.Path
import org.apache.hadoop.hdfs.MiniDFSCluster
import org.scalatest.BeforeAndAfterAll

/** Model, input and output on a real HDFS: a name node and a data node in this process. */
class HdfsSuite extends SparkSuite with BeforeAndAfterAll {
  private lazy val hdfs = {
    val configuration = new Configuration()
    val directory = Files.createTempDirectory("hdfs")
    configuration.set(MiniDFSCluster.HDFS_MINIDFS_BASEDIR, directory.toString)
    new MiniDFSCluster.Builder(configuration).numDataNodes(1).build()
  }

  override protected def afterAll(): Unit = hdfs.shutdown(true)

  /** The built-in model's files as a directory. */
  private def checkpoint(): LocalPath = {
    val directory = Files.createTempDirectory("checkpoint")
    val model = ModelFiles.builtin("summarizer-20m")
    model.list.asScala.foreach(name => Files.write(directory.resolve(name), model.read(name)))
    directory
  }

  test("model, prompts and tables may lie on HDFS") {
    val files = hdfs.getFileSystem
    val root = s"${files.getUri}/lake"
    val local = checkpoint()
    files.copyFromLocalFile(true, new Path(local.toUri), new Path(s"$root/model"))
    val session = spark
    import session.implicits._
    Requests.documents(12).toDF("id", "prompt").write.parquet(s"$root/prompts")

    def generate(model: String, output: String): Map[String, String] = {
      val request = new GenerateRequest(
        new PromptSource(s"$root/prompts", "id", "prompt", java.util.List.of(), 0),
        output,
        WriteMode.ERROR,
        new ModelSource(model, WeightType.BF16, BackendChoice.CPU),
        SparsityRequest.dense(), // under shared a text follows from the crossover, which each run measures
        Decoding.greedy(4, 16),
        2)
      new GenerateAction(spark, request).execute()
      table(output, "generations").select("id", "output").as[(String, String)].collect().toMap
    }
    val remote = generate(s"$root/model", s"$root/summaries")
    assert(remote.size == 12)
    assert(remote == generate("builtin:summarizer-20m", path("local")))
    assert(files.listStatus(new Path(s"$root/summaries/runs")).length == 1)
    assert(table(s"$root/summaries", "sparsity").count() > 0)
  }
}
