package io.rollcall.jobs.generate

import java.util.concurrent.CancellationException
import java.util.concurrent.atomic.AtomicInteger

import scala.jdk.CollectionConverters._

import org.scalatest.BeforeAndAfterAll
import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.checkpoint.ModelFiles
import io.rollcall.engine.generation.{
  EncodedPrompt, Generation, GenerationOptions, Generator, Prompt, PromptEncoder
}
import io.rollcall.engine.runner.CpuModel
import io.rollcall.engine.sparsity.SparsityPlan
import io.rollcall.kernels.WeightType

class GeneratorThreadSuite extends AnyFunSuite with BeforeAndAfterAll {
  private lazy val model =
    CpuModel.load(ModelFiles.locate("builtin:summarizer-20m"), WeightType.BF16)

  override def afterAll(): Unit = model.close()

  private val batch = 4
  private val prompts = Vector.tabulate(40)(i =>
    new Prompt(s"p$i", "A library for reading archives. " * (1 + i % 5) + s"It has $i parts."))

  private lazy val options = GenerationOptions.greedy(batch, 8, 256)
  private lazy val encoder = new PromptEncoder(model.template, options)

  private def encoded(prompts: Iterator[Prompt]): java.util.Iterator[EncodedPrompt] =
    prompts.map(encoder.encode).asJava

  private def generator(prompts: java.util.Iterator[EncodedPrompt]): Generator =
    new Generator(model, SparsityPlan.dense(model.digest), options, 1, prompts)

  private def threaded(
      source: Iterator[Prompt], ahead: Int = batch, check: () => Unit = () => ()): GeneratorThread =
    new GeneratorThread(encoded(source), ahead, "a generator", () => check(), p => generator(p))

  private def rest(thread: GeneratorThread): Vector[Generation] =
    Iterator.continually(thread.next()).takeWhile(_ != null).toVector

  private def alive: Boolean =
    Thread.getAllStackTraces.keySet.asScala.exists(_.getName == "a generator")

  /** Closes it, and requires its thread to be gone. */
  private def using[T](thread: GeneratorThread)(work: GeneratorThread => T): T = {
    try work(thread)
    finally {
      thread.close()
      assert(!alive)
    }
  }

  test("it gives what the generator alone gives, in its order, however little may wait") {
    val alone = generator(encoded(prompts.iterator))
    val expected = try alone.asScala.toVector finally alone.close()
    for (ahead <- Seq(1, 3, 1000))
      using(threaded(prompts.iterator, ahead)) { thread =>
        assert(rest(thread) === expected)
        assert(thread.next() == null)
        assert(thread.generator.times.decodeTokens > 0)
        assert(thread.generator.statistics.size > 0)
      }
  }

  test("no prompts, no generations") {
    using(threaded(Iterator.empty))(thread => assert(rest(thread).isEmpty))
  }

  test("prompts are read by the asking thread, and only so many ahead") {
    val read = new AtomicInteger
    val reader = Thread.currentThread
    val source = prompts.iterator.map { prompt =>
      assert(Thread.currentThread eq reader)
      read.incrementAndGet()
      prompt
    }
    using(threaded(source, ahead = 2)) { thread =>
      assert(read.get == 0)
      assert(thread.next() != null)
      // those that wait, those read ahead to be sorted by length, and those in a slot
      assert(read.get <= 2 + 2 * batch + 2 * batch)
    }
  }

  test("a prompt that cannot be read fails the asker, and the thread ends") {
    val source = prompts.iterator.map(p => if (p.id == "p20") sys.error("a broken block") else p)
    using(threaded(source)) { thread =>
      assert(intercept[RuntimeException](rest(thread)).getMessage == "a broken block")
    }
  }

  test("what the generator throws reaches the asker as it was") {
    val fault = new IllegalStateException("a fault")
    val broken: java.util.Iterator[EncodedPrompt] = Iterator.continually[EncodedPrompt](throw fault).asJava
    using(
      new GeneratorThread(
        encoded(prompts.iterator), batch, "a generator", () => (), _ => generator(broken))) { thread =>
      assert(intercept[IllegalStateException](rest(thread)) eq fault)
      assert(intercept[IllegalStateException](thread.next()) eq fault)
    }
  }

  test("a killed task gives up waiting") {
    val killed = new CancellationException("killed")
    val asked = new AtomicInteger
    val silent = Iterator.continually { Thread.sleep(20); prompts.head }
    using(threaded(silent, check = () => if (asked.incrementAndGet() > 1) throw killed)) { thread =>
      assert(intercept[CancellationException](rest(thread)) eq killed)
    }
  }

  test("an interrupted asker gives up waiting, and stays interrupted") {
    using(threaded(Iterator.empty ++ prompts.iterator.map { p => Thread.currentThread.interrupt(); p })) {
      thread =>
        intercept[CancellationException](rest(thread))
        assert(Thread.interrupted())
    }
  }

  test("closed before its end, it ends") {
    using(threaded(Iterator.continually(prompts.head)))(thread => assert(thread.next() != null))
  }
}
