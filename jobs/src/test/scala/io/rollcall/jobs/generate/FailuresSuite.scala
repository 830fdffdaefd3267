package io.rollcall.jobs.generate

import java.util.concurrent.CountDownLatch

import io.rollcall.engine.UserException
import io.rollcall.jobs.SparkSuite
import org.apache.spark.scheduler.{SparkListener, SparkListenerTaskStart}

class FailuresSuite extends SparkSuite {
  private def explained(failure: () => Nothing): String =
    intercept[UserException] {
      Failures.explained(() => spark.sparkContext.parallelize(Seq(0), 1).map(_ => failure()).collect())
    }.getMessage

  test("a user's mistake that a task finds is told in the task's own words") {
    assert(explained(() => throw new UserException("no such column")) == "no such column")
  }

  test("what else fails in a task is told by its first line") {
    val told = explained(() => throw new IllegalStateException("it broke\nhere and there"))
    assert(told == "the job failed: it broke")
  }

  test("a run whose Spark is stopped under it is told to be started again") {
    val session = spark
    import session.implicits._
    val running = new CountDownLatch(1)
    session.sparkContext.addSparkListener(new SparkListener {
      override def onTaskStart(start: SparkListenerTaskStart): Unit = running.countDown()
    })
    val stop = new Thread(() => {
      running.await()
      SparkSuite.stop()
    })
    stop.start()
    val failure = intercept[UserException] {
      Failures.explained(() => session.range(1).map { n => Thread.sleep(20000); n.longValue }.collect())
    }
    stop.join()
    assert(failure.getMessage ==
      "the run was stopped from outside before it ended, and nothing was written; start it again")
  }
}
