package io.rollcall.jobs.runtime

import java.util.concurrent.{Callable, CountDownLatch, Executors}
import java.util.concurrent.atomic.AtomicInteger

import scala.jdk.CollectionConverters._

import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.model.Model
import io.rollcall.engine.runner.{Backend, LoadedModel, ModelRunner, RunnerOptions, ScoreObserver}
import io.rollcall.engine.sparsity.{Crossover, FeedForwardCost, Method, SparsityPlan, SparsityProfile}
import io.rollcall.kernels.WeightType
import org.apache.hadoop.conf.Configuration
import org.scalatest.funsuite.AnyFunSuite

class ModelRegistrySuite extends AnyFunSuite {
  import ModelRegistrySuite._

  private val conf = new Configuration()
  private val source =
    new ModelSource("builtin:summarizer-20m", WeightType.BF16, BackendChoice.CPU)
  private val onDevice = new ModelSource(source.name, WeightType.BF16, BackendChoice.AUTO)

  /** A registry of devices that are not there, and what it loaded. */
  private final class Fixture(devices: Int) {
    val loads = new AtomicInteger
    val registry = new ModelRegistry(
      new Devices(choice => Placement.of(choice, PlacementSuite.devices(devices), "none")))
    private val loader: ModelRegistry.Loader = (_: ModelFiles, weights: WeightType, place: Place) => {
      loads.incrementAndGet()
      Thread.sleep(20)
      new FakeModel(weights, place.backend)
    }

    def acquire(source: ModelSource, addresses: String*): ModelRegistry#Lease =
      registry.acquire(source, addresses.asJava, conf, loader)
  }

  private def fake(lease: ModelRegistry#Lease): FakeModel = lease.model.asInstanceOf[FakeModel]

  test("tasks that ask at the same time share one load") {
    val fixture = new Fixture(0)
    val start = new CountDownLatch(1)
    val pool = Executors.newFixedThreadPool(8)
    val task: Callable[LoadedModel] = () => {
      start.await()
      fixture.acquire(source).model
    }
    val tasks = Seq.fill(8)(pool.submit(task))
    start.countDown()
    assert(tasks.map(_.get()).toSet.size == 1)
    assert(fixture.loads.get() == 1)
    pool.shutdown()
  }

  test("precisions are models of their own, and so are devices") {
    val fixture = new Fixture(2)
    val int8 = new ModelSource(source.name, WeightType.INT8, BackendChoice.AUTO)
    val cuda = new ModelSource(source.name, WeightType.BF16, BackendChoice.CUDA)
    val models = Seq(
      fixture.acquire(source),
      fixture.acquire(onDevice, "0"),
      fixture.acquire(onDevice, "1"),
      fixture.acquire(int8, "0"),
      fixture.acquire(cuda, "1"),
      fixture.acquire(source)).map(_.model)
    assert(models(0) eq models(5))
    assert(models(2) eq models(4))
    assert(models.toSet.size == 4)
    assert(models.map(_.backend) == Seq(Backend.CPU) ++ Seq.fill(4)(Backend.CUDA) :+ Backend.CPU)
  }

  test("a model whose device faulted is closed by its last user and loaded anew for the next") {
    val fixture = new Fixture(1)
    val first = fixture.acquire(onDevice, "0")
    val second = fixture.acquire(onDevice, "0")
    fake(first).faulted = true
    val third = fixture.acquire(onDevice, "0")
    assert(third.model ne first.model)
    assert(fixture.loads.get() == 2)
    first.close()
    first.close()
    assert(!fake(first).closed)
    second.close()
    assert(fake(first).closed)
    assert(!fake(third).closed)
    third.close()
    assert(fixture.acquire(onDevice).model eq third.model)
  }

  test("a model that nobody uses makes room on its device for another, on the CPU it stays") {
    val fixture = new Fixture(2)
    val idle = fixture.acquire(onDevice, "0")
    val elsewhere = fixture.acquire(onDevice, "1")
    val cpu = fixture.acquire(source)
    Seq(idle, elsewhere, cpu).foreach(_.close())
    val other = new ModelSource(source.name, WeightType.INT4, BackendChoice.AUTO)
    fixture.acquire(other, "0")
    fixture.acquire(new ModelSource(source.name, WeightType.INT4, BackendChoice.CPU))
    assert(fake(idle).closed)
    assert(!fake(elsewhere).closed && !fake(cpu).closed)
  }

  test("a device's crossover is measured once") {
    val fixture = new Fixture(2)
    val leases = Seq("0", "0", "1").map(fixture.acquire(onDevice, _))
    val profile = SparsityProfile.dense("digest")
    leases.foreach(_.crossover(profile, 8, 1))
    leases.head.crossover(profile, 16, 1)
    assert(fake(leases.head).measured.get() == 2)
    assert(fake(leases.last).measured.get() == 1)
  }

  test("closing releases every model") {
    val fixture = new Fixture(1)
    val leases = Seq(fixture.acquire(source), fixture.acquire(onDevice))
    fixture.registry.close()
    assert(leases.forall(fake(_).closed))
  }

  test("a failed load may be tried again and says the same each time") {
    val fixture = new Fixture(0)
    val missing = new ModelSource("/no/such/model", WeightType.BF16, BackendChoice.CPU)
    for (_ <- 1 to 2) {
      val error = intercept[UserException](fixture.acquire(missing))
      assert(error.getMessage.contains("/no/such/model"))
    }
  }
}

object ModelRegistrySuite {
  /** Computes nothing. */
  final class FakeModel(weights: WeightType, computes: Backend) extends LoadedModel {
    @volatile var faulted = false
    @volatile var closed = false
    val measured = new AtomicInteger

    override def model: Model = null
    override def backend: Backend = computes
    override def weightType: WeightType = weights
    override def cost: FeedForwardCost = null
    override def downNorms: java.util.List[Array[Float]] = null
    override def usable: Boolean = !faulted
    override def close(): Unit = closed = true

    override def crossover(profile: SparsityProfile, batchSize: Int, workers: Int): Crossover = {
      measured.incrementAndGet()
      Crossover.never()
    }

    override def runner(plan: SparsityPlan, options: RunnerOptions): ModelRunner =
      throw new UnsupportedOperationException

    override def observed(
        method: Method, observer: ScoreObserver, options: RunnerOptions): ModelRunner =
      throw new UnsupportedOperationException
  }
}
