package io.rollcall.engine.model

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.{ModelFiles, StoredTensor, TinyCheckpoint}
import io.rollcall.engine.runner.CpuModel
import io.rollcall.kernels.{WeightMatrix, WeightType}

class ModelSuite extends AnyFunSuite {
  import TinyCheckpoint.{Hidden, Inner, Layers, Vocabulary}

  private def load(directory: Path, weights: WeightType = WeightType.BF16): CpuModel =
    CpuModel.load(ModelFiles.directory(directory), weights)

  private def using[A](model: CpuModel)(use: CpuModel => A): A =
    try use(model) finally model.close()

  private def refusal(directory: Path): String =
    intercept[UserException](load(directory)).getMessage

  private val values = TinyCheckpoint.tensors(5, StoredTensor.f32).map { t =>
    val floats = java.nio.ByteBuffer.wrap(t.bytes).order(java.nio.ByteOrder.LITTLE_ENDIAN).asFloatBuffer
    t.name -> Array.fill(floats.remaining)(floats.get())
  }.toMap

  private def f16(name: String, shape: Seq[Int], floats: Array[Float]): StoredTensor = {
    def bits(v: Float): Short = {
      val raw = java.lang.Float.floatToRawIntBits(v)
      if (v == 0) 0 else (((raw >>> 16) & 0x8000) | ((((raw >>> 23) & 0xff) - 112) << 10) | ((raw >>> 13) & 0x3ff)).toShort
    }
    StoredTensor.bits16(name, "F16", shape, floats.map(bits))
  }

  private def assertIs(matrix: WeightMatrix, rows: Int, columns: Int, name: String): Unit = {
    assert(matrix.rows == rows && matrix.columns == columns, name)
    for (r <- 0 until rows; c <- 0 until columns)
      assert(matrix.get(r, c) == values(name)(r * columns + c), s"$name ($r, $c)")
  }

  for ((label, store) <- Seq[(String, (String, Seq[Int], Array[Float]) => StoredTensor)](
      "f32" -> StoredTensor.f32, "f16" -> f16, "bf16" -> StoredTensor.bf16))
    test(s"every tensor of a $label checkpoint arrives in its place, bit for bit") {
      using(load(TinyCheckpoint.model(TinyCheckpoint.tensors(5, store)))) { model =>
        val weights = model.weights
        assert(weights.layers.size == Layers && weights.embedding.`type`.toString.toLowerCase == label)
        assertIs(weights.embedding, Vocabulary, Hidden, "model.embed_tokens.weight")
        assertIs(weights.head, Vocabulary, Hidden, "lm_head.weight")
        assert(weights.norm.sameElements(values("model.norm.weight")))
        for ((layer, i) <- weights.layers.asScala.zipWithIndex) {
          val at = s"model.layers.$i."
          assertIs(layer.query, 8, Hidden, at + "self_attn.q_proj.weight")
          assertIs(layer.key, 4, Hidden, at + "self_attn.k_proj.weight")
          assertIs(layer.value, 4, Hidden, at + "self_attn.v_proj.weight")
          assertIs(layer.output, Hidden, 8, at + "self_attn.o_proj.weight")
          assertIs(layer.gate, Inner, Hidden, at + "mlp.gate_proj.weight")
          assertIs(layer.up, Inner, Hidden, at + "mlp.up_proj.weight")
          assert(layer.attentionNorm.sameElements(values(at + "input_layernorm.weight")))
          assert(layer.feedForwardNorm.sameElements(values(at + "post_attention_layernorm.weight")))
        }
      }
    }

  test("a row of the down projection is a neuron's column of the stored tensor, with its norm") {
    using(load(TinyCheckpoint.model(TinyCheckpoint.tensors(5, StoredTensor.bf16)))) { model =>
      for ((layer, i) <- model.weights.layers.asScala.zipWithIndex) {
        val stored = values(s"model.layers.$i.mlp.down_proj.weight")
        assert(layer.down.rows == Inner && layer.down.columns == Hidden)
        for (neuron <- 0 until Inner) {
          val row = (0 until Hidden).map(d => stored(d * Inner + neuron))
          for (d <- 0 until Hidden) assert(layer.down.get(neuron, d) == row(d))
          val norm = math.sqrt(row.map(v => v.toDouble * v).sum)
          assert(math.abs(layer.downNorms()(neuron) - norm) < 1e-5 * norm)
        }
      }
    }
  }

  test("int8 quantises the feed-forward alone") {
    using(load(TinyCheckpoint.model(TinyCheckpoint.tensors(5, StoredTensor.bf16)), WeightType.INT8)) { model =>
      val layer = model.weights.layers.get(0)
      assert(model.weightType == WeightType.INT8)
      for (m <- Seq(layer.gate, layer.up, layer.down)) assert(m.`type` == WeightType.INT8)
      for (m <- Seq(layer.query, layer.key, layer.value, layer.output, model.weights.embedding, model.weights.head))
        assert(m.`type` == WeightType.BF16)
    }
  }

  test("tied embeddings are one object") {
    val tied = TinyCheckpoint.config.replace("\"hidden_act\"", "\"tie_word_embeddings\": true, \"hidden_act\"")
    val tensors = TinyCheckpoint.tensors(5, StoredTensor.bf16).filter(_.name != "lm_head.weight")
    using(load(TinyCheckpoint.model(tensors, tied)))(m => assert(m.weights.head eq m.weights.embedding))
    assert(refusal(TinyCheckpoint.model(tensors)).contains("has no tensor lm_head.weight"))
  }

  test("a config that does not fit the tensors is refused by shape") {
    val wrong = TinyCheckpoint.config.replace(s"\"intermediate_size\": $Inner", "\"intermediate_size\": 13")
    val message = refusal(TinyCheckpoint.model(TinyCheckpoint.tensors(5, StoredTensor.bf16), wrong))
    assert(message.contains("gate_proj") && message.contains("[12, 8] where config.json makes it [13, 8]"), message)
  }

  test("a model without tokenizer.json is refused") {
    val at = TinyCheckpoint.model(TinyCheckpoint.tensors(5, StoredTensor.bf16))
    Files.delete(at.resolve("tokenizer.json"))
    assert(refusal(at).contains("has no tokenizer.json"))
  }

  test("a model whose manifest has another digest is refused") {
    val at = TinyCheckpoint.model(TinyCheckpoint.tensors(5, StoredTensor.bf16))
    def manifest(digest: String) = TinyCheckpoint.write(
      at, "rollcall.json", s"""{"digest": "$digest", "template": "raw", "files": []}""")
    val digest = using(load(at))(_.digest)
    manifest(digest)
    using(load(at))(m => assert(m.digest == digest && m.template.name == "raw"))
    manifest("0" * 64)
    val message = refusal(at)
    assert(message.contains(digest) && message.contains("0" * 64) && message.contains("altered"), message)
  }

  test("the built-in model loads as its card describes it") {
    using(CpuModel.load(ModelFiles.locate("builtin:summarizer-20m"), WeightType.BF16)) { model =>
      val c = model.config
      assert((c.layers, c.hiddenSize, c.intermediateSize, c.heads, c.kvHeads, c.headSize, c.vocabulary, c.context)
        == ((8, 384, 1536, 6, 2, 64, 8192, 1024)))
      assert(c.tiedEmbeddings && c.endTokens.asScala.map(_.intValue).toSet == Set(0) && c.bosToken == 1)
      val layer = model.weights.layers.get(0)
      val parameters = c.vocabulary.toLong * c.hiddenSize + c.hiddenSize + c.layers *
        (Seq(layer.query, layer.key, layer.value, layer.output, layer.gate, layer.up, layer.down)
          .map(m => m.rows.toLong * m.columns).sum + 2L * c.hiddenSize)
      assert(parameters == 20453760)
      assert(model.template.name == "summarize" && model.name == "builtin:summarizer-20m")
    }
  }
}
