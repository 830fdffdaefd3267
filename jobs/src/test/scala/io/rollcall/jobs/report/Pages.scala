package io.rollcall.jobs.report

import io.rollcall.jobs.analysis.RecordedRuns._

/** Runs that fill every part of a page. */
object Pages {
  val full: Recorded = Recorded(
    cells = Seq(
      cell(0, 1, 100, own = 0.5, union = 0.5),
      cell(0, 4, 300, own = 0.3, union = 0.7),
      cell(1, 1, 100, own = 0.4, union = 0.4),
      cell(1, 4, 300, own = 0.2, union = 0.85, dense = 150)),
    generations = Seq(answered("a", 100), answered("b", 50), failed("c", "prompt has 5 tokens")),
    drift = Seq((0, 0.34, 0.30, 0.05), (1, 0.25, 0.20, 0.04)),
    partitions = Seq(0 -> 4.0, 1 -> 8.0))

  /** As many layers as a large model has. */
  val deep: Recorded = full.copy(
    cells = (0 until 32).flatMap { layer =>
      val own = 0.2 + 0.002 * layer
      Seq(1, 2, 4, 8).map { batch =>
        val union = 1 - math.pow(1 - own, math.pow(batch, 0.9))
        cell(layer, batch, 100, own, union, dense = if (union > 0.8) 100 else 0)
      }
    },
    drift = (0 until 32).map(layer => (layer, 0.2 + 0.002 * layer, 0.21, 0.05)))

  /** One line of an evaluation; sparsity 0 for dense. */
  final case class Config(
      method: String, sparsity: Double, loss: Double, read: Int, profile: Option[String] = None)

  val metrics: String =
    evaluation(Config("m-countdown", 0.3, 0.03, 800), Config("cats", 0.5, 0.2, 650))

  /** What evaluate writes, of configurations at batch 4 beside dense. */
  def evaluation(configs: Config*): String = {
    val lines = (Config("dense", 0, 0, 1000) +: configs).map { config =>
      import config._
      val interval = s"""{"low": ${loss - 0.01}, "high": ${loss + 0.01}}"""
      s"""{"method": "$method", "sparsity": $sparsity, "union": "shared", "batch_size": 4,
         |"profile": ${profile.fold("null")(file => s""""$file"""")},
         |"perplexity": ${10 * (1 + loss)}, "token_accuracy": 0.5, "rouge_l": 0.4,
         |"same_as_dense": 0.6, "kl": 0.01, "own_density": 0.3, "union_density": 0.7,
         |"bytes_read": $read, "bytes_dense": 1000, "decode_tokens_per_s": ${2000 - read},
         |"perplexity_loss": $loss, "perplexity_interval": $interval,
         |"perplexity_loss_interval": $interval, "token_accuracy_interval": $interval,
         |"rouge_l_interval": $interval, "same_as_dense_interval": $interval, "kl_interval": $interval,
         |"tokens": 100, "smaller_batches": {}}""".stripMargin
    }
    s"""{"configs": [${lines.mkString(", ")}]}"""
  }
}
