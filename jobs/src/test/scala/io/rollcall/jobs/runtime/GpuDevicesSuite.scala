package io.rollcall.jobs.runtime

import java.nio.file.Path

import io.rollcall.jobs.generate.{GenerateAction, GpuGenerateSuite, Requests, SparsityRequest}
import io.rollcall.jobs.{Clusters, SparkSuite}
import io.rollcall.kernels.cuda.CudaDevice
import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.SparkSession
import org.apache.spark.{SparkEnv, TaskContext}
import org.scalatest.BeforeAndAfterAll

/** All GPUs of this host, as Spark's discovery and scheduling hand them out. Cancels where there are
  * fewer than two.
  */
class GpuDevicesSuite extends SparkSuite with BeforeAndAfterAll {
  private val devices = CudaDevice.all().size
  private val script =
    Path.of(System.getProperty("rollcall.root"), "conf", "gpu-discovery.sh").toString
  private lazy val cluster = Clusters.withGpus(devices, script)

  override protected def spark: SparkSession = cluster

  override protected def afterAll(): Unit = if (devices > 1) cluster.stop()

  private def onDevices(name: String)(body: => Any): Unit = test(name) {
    assume(devices > 1, s"$devices devices")
    body
  }

  onDevices("every executor loads its replica on the device whose address Spark gave it") {
    val slices = spark.sparkContext.parallelize(0 until 8 * devices, 8 * devices)
    val tasks = slices.map(_ => GpuDevicesSuite.leased(TaskContext.get())).collect()
    tasks.foreach { case (_, address, ordinal) => assert(ordinal == address.toInt) }
    assert(tasks.map(_._3).toSet == (0 until devices).toSet)
    assert(tasks.map { case (executor, address, _) => executor -> address }.toSet.size == devices)
  }

  onDevices("a job over all devices answers every prompt once, as one device does") {
    val documents = Requests.documents(400)
    val input = prompts("in", documents: _*)
    def answers(partitions: Int): Map[String, String] = {
      val output = path(s"out-$partitions")
      val request = Requests(input, output, SparsityRequest.dense(), 8, 24, partitions)
      val result = new GenerateAction(spark, Requests.of(request, GpuGenerateSuite.cuda())).execute()
      assert(result.totals.rows == documents.size && result.totals.errorRows == 0)
      table(output, "generations").select("id", "output").collect()
        .map(row => row.getString(0) -> row.getString(1)).toMap
    }
    val (together, alone) = (answers(4 * devices), answers(1))
    assert(together.keySet == documents.map(_._1).toSet)
    // the order of sums depends on the batch bucket, so the last batches of a partition may differ
    val same = together.count { case (id, text) => alone(id) == text }
    info(s"$same of ${documents.size} answers are one device's")
    assert(same >= 0.95 * documents.size)
  }
}

object GpuDevicesSuite {
  /** @return executor, address, ordinal */
  def leased(task: TaskContext): (String, String, Int) = {
    val lease = ModelRegistry.process().acquire(GpuGenerateSuite.cuda(), task, new Configuration())
    Thread.sleep(200)
    (SparkEnv.get.executorId, DevicePool.addresses(task).get(0), lease.place.ordinal)
  }
}
