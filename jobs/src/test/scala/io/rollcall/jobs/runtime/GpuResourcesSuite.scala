package io.rollcall.jobs.runtime

import scala.jdk.CollectionConverters._

import io.rollcall.jobs.generate.{GenerateAction, Requests}
import io.rollcall.jobs.{Clusters, SparkSuite}
import org.apache.spark.sql.SparkSession
import org.apache.spark.{SparkEnv, TaskContext}
import org.scalatest.BeforeAndAfterAll

/** Spark's own scheduling of two GPUs that are not there, over real executor processes. */
class GpuResourcesSuite extends SparkSuite with BeforeAndAfterAll {
  private lazy val cluster = Clusters.withGpus(2, GpuDiscoverySuite.script(2))

  override protected def spark: SparkSession = cluster

  override protected def afterAll(): Unit = cluster.stop()

  test("a task computes on the device whose address Spark gave it") {
    val slices = spark.sparkContext.parallelize(0 until 16, 16)
    val tasks = slices.map(_ => GpuResourcesSuite.placed(TaskContext.get())).collect()
    tasks.foreach { case (_, address, ordinal) => assert(ordinal == address.toInt) }
    // one GPU an executor, each its own
    assert(tasks.map(_._2).toSet == Set("0", "1"))
    assert(tasks.map { case (executor, address, _) => executor -> address }.toSet.size == 2)
  }

  test("the Spark defaults for GPU clusters run the job; without devices auto takes the CPU") {
    val input = prompts("in", Requests.documents(12): _*)
    val request = Requests(input, path("out"), Requests.own(0.6), batchSize = 4)
    val auto = new ModelSource(Requests.builtin.name, Requests.builtin.weights, BackendChoice.AUTO)
    val result = new GenerateAction(spark, Requests.of(request, auto)).execute()
    assert(result.totals.rows == 12 && result.totals.errorRows == 0)
    assume(io.rollcall.kernels.cuda.CudaDevice.all().isEmpty)
    assert(result.totals.devices.asScala.map(_.backend).toSet == Set("cpu"))
  }

  test("cuda on executors without a device fails the job in one line that says why") {
    assume(io.rollcall.kernels.cuda.CudaDevice.all().isEmpty)
    val input = prompts("in", Requests.documents(3): _*)
    val cuda = new ModelSource(Requests.builtin.name, Requests.builtin.weights, BackendChoice.CUDA)
    val request = Requests.of(Requests(input, path("out")), cuda)
    val error = intercept[io.rollcall.engine.UserException](
      new GenerateAction(spark, request).execute())
    assert(error.getMessage.startsWith("--backend cuda: "), error.getMessage)
    assert(error.getMessage.linesIterator.size == 1)
  }
}

object GpuResourcesSuite {
  /** @return executor, address, ordinal */
  def placed(task: TaskContext): (String, String, Int) = {
    val addresses = DevicePool.addresses(task)
    val devices = new Devices(choice => Placement.of(choice, PlacementSuite.devices(2), "none"))
    val place = devices.take(BackendChoice.CUDA, addresses)
    Thread.sleep(50)
    (SparkEnv.get.executorId, addresses.get(0), place.ordinal)
  }
}
