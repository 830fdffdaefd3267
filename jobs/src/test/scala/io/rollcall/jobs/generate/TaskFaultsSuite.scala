package io.rollcall.jobs.generate

import io.rollcall.jobs.{Clusters, SparkSuite}
import io.rollcall.kernels.cuda.{DeviceFaultException, Faults}
import org.apache.spark.sql.SparkSession
import org.apache.spark.{SparkEnv, TaskContext}
import org.scalatest.BeforeAndAfterAll

/** What Spark makes of a device's faults, over real executor processes. */
class TaskFaultsSuite extends SparkSuite with BeforeAndAfterAll {
  private lazy val cluster = Clusters.local()

  override protected def spark: SparkSession = cluster

  override protected def afterAll(): Unit = cluster.stop()

  /** Fails on its first attempt. */
  private def attempts(fault: () => DeviceFaultException): TaskFaultsSuite.Attempt =
    spark.sparkContext.parallelize(Seq(0), 1).map(_ => TaskFaultsSuite.attempt(fault)).first()

  private def alive(): Set[String] =
    spark.sparkContext.parallelize(0 until 8, 8).map { _ =>
      Thread.sleep(200)
      SparkEnv.get.executorId
    }.collect().toSet

  test("after a fault the task is tried again and the executor lives") {
    val before = alive()
    assert(attempts(() => Faults.ordinary()).number == 1)
    assert(alive() == before)
  }

  test("where the process cannot use the device again Spark replaces the executor") {
    val before = alive()
    assert(attempts(() => Faults.processMustEnd()).number > 0)
    val after = alive()
    assert(before.exists(!after.contains(_)), s"$before, then $after")
  }

  test("a task that always faults fails the job in one line that names the kernel") {
    def message(fault: () => DeviceFaultException): String = {
      val failed = intercept[Exception] {
        spark.sparkContext.parallelize(Seq(0), 1)
          .map(_ => TaskFaults.rethrown[Int](() => throw fault())).collect()
      }
      val told = Failures.explain(failed).getMessage
      assert(told.linesIterator.size == 1)
      told
    }
    assert(message(() => Faults.ordinary()).contains("kernel k [grid 1 x 1 x 1, 32 threads]"))
    // Spark may hear of the executor's end first
    assert(message(() => Faults.processMustEnd()).matches(".*(kernel k|executor .* exited).*"))
  }
}

object TaskFaultsSuite {
  final case class Attempt(number: Int, executor: String)

  def attempt(fault: () => DeviceFaultException): Attempt = {
    val number = TaskContext.get().attemptNumber()
    TaskFaults.rethrown(() => {
      if (number == 0) throw fault()
      Attempt(number, SparkEnv.get.executorId)
    })
  }
}
