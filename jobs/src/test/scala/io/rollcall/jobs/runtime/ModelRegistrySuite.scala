package io.rollcall.jobs.runtime

import java.util.concurrent.{Callable, CountDownLatch, Executors}
import java.util.concurrent.atomic.AtomicInteger

import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.kernels.WeightType
import org.apache.hadoop.conf.Configuration
import org.scalatest.funsuite.AnyFunSuite

class ModelRegistrySuite extends AnyFunSuite {
  private val source = new ModelSource("builtin:summarizer-20m", WeightType.BF16)

  test("tasks that ask at the same time share one load") {
    val registry = new ModelRegistry
    val loads = new AtomicInteger
    val start = new CountDownLatch(1)
    val pool = Executors.newFixedThreadPool(8)
    val task: Callable[ModelRegistry.Loaded] = () => {
      start.await()
      registry.model(
        source,
        (_: ModelSource) => {
          loads.incrementAndGet()
          Thread.sleep(50)
          new ModelRegistry.Loaded(null, null)
        })
    }
    val tasks = Seq.fill(8)(pool.submit(task))
    start.countDown()
    assert(tasks.map(_.get()).toSet.size == 1)
    assert(loads.get() == 1)
    pool.shutdown()
  }

  test("precisions are models of their own") {
    val registry = new ModelRegistry
    val loaded = Seq(WeightType.BF16, WeightType.INT8, WeightType.BF16).map { weights =>
      registry.model(
        new ModelSource(source.name, weights),
        (key: ModelSource) => new ModelRegistry.Loaded(null, ModelFiles.locate(key.name)))
    }
    assert(loaded(0) eq loaded(2))
    assert(!(loaded(0) eq loaded(1)))
  }

  test("a failed load may be tried again and says the same each time") {
    val registry = new ModelRegistry
    val missing = new ModelSource("/no/such/model", WeightType.BF16)
    for (_ <- 1 to 2) {
      val error =
        intercept[UserException](registry.model(missing, new Configuration()))
      assert(error.getMessage.contains("/no/such/model"))
    }
  }
}
