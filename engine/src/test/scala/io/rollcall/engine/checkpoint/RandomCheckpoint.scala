package io.rollcall.engine.checkpoint

import java.nio.file.Path

import scala.util.Random

/** Checkpoints of random Llama models in shapes that a device computes with. */
object RandomCheckpoint {

  case class Shape(
      layers: Int = 3, hidden: Int = 128, inner: Int = 320, heads: Int = 4, kvHeads: Int = 2,
      headSize: Int = 64, vocabulary: Int = 300, context: Int = 512, tied: Boolean = false)

  private def config(s: Shape): String =
    s"""{"model_type": "llama", "hidden_size": ${s.hidden}, "intermediate_size": ${s.inner},
       | "num_hidden_layers": ${s.layers}, "num_attention_heads": ${s.heads},
       | "num_key_value_heads": ${s.kvHeads}, "head_dim": ${s.headSize}, "vocab_size": ${s.vocabulary},
       | "max_position_embeddings": ${s.context}, "rms_norm_eps": 1e-5, "bos_token_id": 1,
       | "eos_token_id": 2, "tie_word_embeddings": ${s.tied}, "hidden_act": "silu"}""".stripMargin

  def write(seed: Int, s: Shape, store: (String, Seq[Int], Array[Float]) => StoredTensor = StoredTensor.bf16): Path = {
    val random = new Random(seed)
    def tensor(name: String, scale: Double, shape: Int*) =
      store(name, shape, Array.fill(shape.product)((random.nextGaussian() * scale).toFloat))
    def norm(name: String) =
      store(name, Seq(s.hidden), Array.fill(s.hidden)((1 + 0.1 * random.nextGaussian()).toFloat))
    val w = 1.5 / math.sqrt(s.hidden)
    val queries = s.heads * s.headSize
    val keys = s.kvHeads * s.headSize
    val layers = (0 until s.layers).flatMap { layer =>
      val at = s"model.layers.$layer."
      Seq(
        norm(at + "input_layernorm.weight"),
        tensor(at + "self_attn.q_proj.weight", w, queries, s.hidden),
        tensor(at + "self_attn.k_proj.weight", w, keys, s.hidden),
        tensor(at + "self_attn.v_proj.weight", w, keys, s.hidden),
        tensor(at + "self_attn.o_proj.weight", w, s.hidden, queries),
        norm(at + "post_attention_layernorm.weight"),
        tensor(at + "mlp.gate_proj.weight", w, s.inner, s.hidden),
        tensor(at + "mlp.up_proj.weight", w, s.inner, s.hidden),
        tensor(at + "mlp.down_proj.weight", 2 / math.sqrt(s.inner), s.hidden, s.inner))
    }
    val head = if (s.tied) Nil else Seq(tensor("lm_head.weight", w, s.vocabulary, s.hidden))
    TinyCheckpoint.model(
      Seq(tensor("model.embed_tokens.weight", 1, s.vocabulary, s.hidden)) ++ layers ++
        Seq(norm("model.norm.weight")) ++ head,
      config(s))
  }
}
