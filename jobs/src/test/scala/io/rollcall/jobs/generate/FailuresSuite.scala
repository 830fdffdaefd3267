package io.rollcall.jobs.generate

import io.rollcall.engine.UserException
import io.rollcall.jobs.SparkSuite

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
}
