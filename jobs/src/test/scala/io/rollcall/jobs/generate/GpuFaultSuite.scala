package io.rollcall.jobs.generate

import io.rollcall.engine.runner.cuda.BrokenDevice
import io.rollcall.jobs.runtime.{ModelRegistry, ModelSource}
import io.rollcall.jobs.{Clusters, SparkSuite}
import io.rollcall.kernels.cuda.CudaDevice
import org.apache.hadoop.conf.Configuration
import org.apache.spark.TaskContext
import org.apache.spark.sql.SparkSession
import org.scalatest.BeforeAndAfterAll

/** A kernel's fault in an executor process, which the driver's JVM does not share: after one the driver
  * refuses every context of the process. Cancels where there is no device.
  */
class GpuFaultSuite extends SparkSuite with BeforeAndAfterAll {
  import GpuFaultSuite._

  private lazy val cluster = Clusters.local()

  override protected def spark: SparkSession = cluster

  override protected def afterAll(): Unit = if (!CudaDevice.all().isEmpty) cluster.stop()

  private def onDevice(name: String)(body: => Any): Unit = test(name) {
    assume(!CudaDevice.all().isEmpty, CudaDevice.whyNone().orElse(""))
    body
  }

  onDevice("after a fault Spark's retry computes with a clean model, and the next job too") {
    val source = GpuGenerateSuite.cuda()
    val (attempt, usable) = spark.sparkContext.parallelize(Seq(0), 1).map(_ => faultFirst(source)).first()
    assert(attempt > 0 && usable)
    val input = prompts("in", Requests.documents(20): _*)
    val result = new GenerateAction(spark, Requests.of(Requests(input, path("out")), source)).execute()
    assert(result.totals.rows == 20)
  }

  onDevice("a fault that no retry survives is one line") {
    val source = GpuGenerateSuite.cuda()
    val told = Failures.explain(intercept[Exception] {
      spark.sparkContext.parallelize(Seq(0), 1).map(_ => faultAlways(source)).collect()
    }).getMessage
    // Spark may hear of the executor's end before it hears of the fault
    assert(told.matches(".*(write_nowhere \\[grid 3 x 1 x 1, 32 threads|executor .* exited).*"), told)
    assert(told.linesIterator.size == 1)
  }
}

object GpuFaultSuite {
  /** Faults on the task's first attempt. @return which attempt this is, and whether its model is usable */
  def faultFirst(source: ModelSource): (Int, Boolean) = {
    val task = TaskContext.get()
    val lease = ModelRegistry.process().acquire(source, task, new Configuration())
    if (task.attemptNumber() == 0) faulted(lease)
    (task.attemptNumber(), lease.model.usable)
  }

  private def faulted(lease: ModelRegistry#Lease): Unit =
    TaskFaults.rethrown[Unit](() => BrokenDevice.fault(lease.model))

  def faultAlways(source: ModelSource): Int = {
    val lease = ModelRegistry.process().acquire(source, TaskContext.get(), new Configuration())
    faulted(lease)
    0
  }
}
