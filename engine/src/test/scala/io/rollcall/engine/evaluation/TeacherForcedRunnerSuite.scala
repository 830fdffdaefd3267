package io.rollcall.engine.evaluation

import scala.collection.mutable
import scala.jdk.CollectionConverters._
import scala.util.Random

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.{RandomModels, UserException}
import io.rollcall.engine.runner.{RunnerOptions, TokenBatch}
import io.rollcall.engine.sparsity._

class TeacherForcedRunnerSuite extends AnyFunSuite {
  private val model = RandomModels.model(5)
  private val dense = SparsityPlan.dense(model.digest)
  private def sparse(union: String) = new SparsityPlan(
    new SparsityProfile(
      model.digest, Method.M_COUNTDOWN, UnionStrategy.parse(union), Array(0.5),
      Array(Array.fill(3)(0.8f)), null),
    Crossover.never())

  private val documents = {
    val random = new Random(2)
    def tokens(n: Int) = Array.fill(n)(1 + random.nextInt(60))
    Seq.tabulate(9)(i =>
      new ReferencedDocument(i, s"d$i", tokens(1 + random.nextInt(20)), tokens(1 + random.nextInt(8))))
  }

  private type Rows = Map[(Int, Int), (Int, Seq[Array[Float]])]

  private def run(plans: Seq[SparsityPlan], slots: Int): (Rows, TeacherForcedRunner) = {
    val rows = mutable.Map.empty[(Int, Int), (Int, Seq[Array[Float]])]
    val runner = TeacherForcedRunner.of(model, plans.asJava, slots, 40, 1)
    try
      runner.run(
        documents.iterator.asJava,
        (document, position, next, _, logits, offset) => {
          val row = logits.toSeq.map(_.slice(offset, offset + 61))
          assert(rows.put((document.index, position), (next, row)).isEmpty)
        })
    finally runner.close()
    (rows.toMap, runner)
  }

  private def prefilled(tokens: Seq[Int]): Array[Float] = {
    val runner = model.runner(dense, RunnerOptions.greedy(1, 40, 1))
    try {
      val batch = new TokenBatch(40)
      for ((t, i) <- tokens.zipWithIndex)
        if (i < tokens.size - 1) batch.add(t, i, 0) else batch.addLast(t, i, 0, null)
      runner.prefill(batch)
      runner.logits.take(61)
    } finally runner.close()
  }

  for (slots <- Seq(1, 4))
    test(s"every token of a reference is predicted once, from all before it, $slots at a time") {
      val (rows, _) = run(Seq(dense), slots)
      assert(rows.size === documents.map(_.reference.length).sum)
      for (document <- documents; position <- document.reference.indices) {
        val (next, Seq(logits)) = rows((document.index, position))
        assert(next === document.reference()(position))
        val expected = prefilled(document.prompt.toSeq ++ document.reference.take(position))
        assert(logits.zip(expected).forall { case (a, b) => math.abs(a - b) < 1e-4 })
      }
    }

  test("a runner beside others gives to the bit what it gives alone, and counts the same") {
    for (union <- Seq("own", "shared")) {
      val (together, runner) = run(Seq(dense, sparse(union)), 3)
      val (alone, single) = run(Seq(sparse(union)), 3)
      for ((at, (_, row)) <- alone) assert(together(at)._2(1) === row.head, at)
      assert(together.exists { case (_, (_, Seq(a, b))) => !a.sameElements(b) })
      assert(
        runner.statistics(1).asScala.map(_.unionDensity) === single.statistics(0).asScala.map(_.unionDensity))
    }
  }

  test("with union own a document's logits do not depend on the batch") {
    val one = run(Seq(sparse("own")), 1)._1
    val many = run(Seq(sparse("own")), 5)._1
    for ((at, (_, row)) <- one) assert(many(at)._2.head === row.head, at)
  }

  test("a step counts for the documents really in it") {
    val (_, runner) = run(Seq(dense), 4)
    val layer = runner.statistics(0).asScala.filter(_.layer == 0)
    assert(layer.map(_.sequences).sum === documents.map(_.reference.length).sum)
    assert(layer.forall(row => row.sequences == row.steps * row.batchSize && row.batchSize <= 4))
    assert(layer.exists(_.batchSize == 4))
  }

  test("a document longer than the context is refused by its id") {
    val runner = TeacherForcedRunner.of(model, Seq(dense).asJava, 1, 10, 1)
    val long = new ReferencedDocument(0, "long one", Array.fill(8)(1), Array.fill(4)(2))
    try {
      val refused = intercept[UserException](
        runner.run(Iterator(long).asJava, (_, _, _, _, _, _) => ()))
      assert(refused.getMessage.contains("'long one' has 11 tokens"))
    } finally runner.close()
  }
}
