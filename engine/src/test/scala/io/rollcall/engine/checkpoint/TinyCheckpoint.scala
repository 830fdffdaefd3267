package io.rollcall.engine.checkpoint

import java.io.RandomAccessFile
import java.nio.{ByteBuffer, ByteOrder}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._
import scala.util.Random

import com.fasterxml.jackson.databind.ObjectMapper

/** A tensor as a test writes it, its elements' bits already little-endian. */
case class StoredTensor(name: String, dtype: String, shape: Seq[Int], bytes: Array[Byte])

object StoredTensor {
  private def packed(width: Int, n: Int)(put: (ByteBuffer, Int) => Unit): Array[Byte] = {
    val buffer = ByteBuffer.allocate(width * n).order(ByteOrder.LITTLE_ENDIAN)
    (0 until n).foreach(put(buffer, _))
    buffer.array
  }

  def f32(name: String, shape: Seq[Int], values: Array[Float]): StoredTensor =
    StoredTensor(name, "F32", shape, packed(4, values.length)((b, i) => b.putFloat(values(i))))

  def bits16(name: String, dtype: String, shape: Seq[Int], bits: Array[Short]): StoredTensor =
    StoredTensor(name, dtype, shape, packed(2, bits.length)((b, i) => b.putShort(bits(i))))

  def bf16(name: String, shape: Seq[Int], values: Array[Float]): StoredTensor =
    bits16(name, "BF16", shape, values.map(v => (java.lang.Float.floatToRawIntBits(v) >>> 16).toShort))
}

/** Writes checkpoint directories, right ones and wrong ones. */
object TinyCheckpoint {
  val Hidden = 8
  val Inner = 12
  val Vocabulary = 16
  val Layers = 2

  private val json = new ObjectMapper()

  def directory(): Path = {
    val directory = Files.createTempDirectory("checkpoint")
    sys.addShutdownHook {
      Files.list(directory).iterator.asScala.foreach(Files.delete)
      Files.delete(directory)
    }
    directory
  }

  def write(directory: Path, file: String, text: String): Unit =
    Files.write(directory.resolve(file), text.getBytes(UTF_8))

  def safetensors(directory: Path, file: String, tensors: Seq[StoredTensor]): Unit = {
    val header = json.createObjectNode()
    header.putObject("__metadata__").put("format", "pt")
    tensors.foldLeft(0L) { (begin, tensor) =>
      val entry = header.putObject(tensor.name)
      entry.put("dtype", tensor.dtype)
      val shape = entry.putArray("shape")
      tensor.shape.foreach(n => shape.add(n))
      entry.putArray("data_offsets").add(begin).add(begin + tensor.bytes.length)
      begin + tensor.bytes.length
    }
    raw(directory, file, header.toString, tensors.flatMap(_.bytes).toArray)
  }

  def raw(directory: Path, file: String, header: String, data: Array[Byte]): Unit = {
    val text = header.getBytes(UTF_8)
    val out = new RandomAccessFile(directory.resolve(file).toFile, "rw")
    try {
      out.writeLong(java.lang.Long.reverseBytes(text.length.toLong))
      out.write(text)
      out.write(data)
    } finally out.close()
  }

  def index(directory: Path, shards: Seq[(String, Seq[StoredTensor])]): Unit = {
    val root = json.createObjectNode()
    val map = root.putObject("weight_map")
    for ((file, tensors) <- shards; tensor <- tensors) map.put(tensor.name, file)
    write(directory, "model.safetensors.index.json", root.toString)
  }

  val config: String =
    s"""{"model_type": "llama", "hidden_size": $Hidden, "intermediate_size": $Inner,
       | "num_hidden_layers": $Layers, "num_attention_heads": 2, "num_key_value_heads": 1,
       | "vocab_size": $Vocabulary, "max_position_embeddings": 32, "rms_norm_eps": 1e-5,
       | "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu"}""".stripMargin

  /** Words of one letter, a begin token that the tokenizer adds, an end token. */
  val tokenizer: String = {
    val letters = ('a' to 'm').zipWithIndex.map { case (c, i) => s""""$c": ${i + 3}""" }
    val special = Seq("<unk>", "<s>", "</s>")
    s"""{"version": "1.0", "truncation": {"direction": "Right", "max_length": 4,
       |   "strategy": "LongestFirst", "stride": 0}, "padding": null,
       | "added_tokens": [${special.zipWithIndex.map { case (t, i) =>
        s"""{"id": $i, "content": "$t", "single_word": false, "lstrip": false, "rstrip": false,
           | "normalized": false, "special": true}""".stripMargin }.mkString(", ")}],
       | "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
       | "post_processor": {"type": "TemplateProcessing",
       |   "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
       |   "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
       |   "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
       | "decoder": null,
       | "model": {"type": "WordLevel", "unk_token": "<unk>",
       |   "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2, ${letters.mkString(", ")}}}}""".stripMargin
  }

  /** Every tensor of a two-layer Llama, random, untied, exact in bf16 and f16. */
  def tensors(seed: Long, store: (String, Seq[Int], Array[Float]) => StoredTensor): Seq[StoredTensor] = {
    val random = new Random(seed)
    def tensor(name: String, shape: Int*) =
      store(name, shape, Array.fill(shape.product)((random.nextInt(255) - 127) / 64f))
    val layers = (0 until Layers).flatMap { layer =>
      val at = s"model.layers.$layer."
      Seq(
        tensor(at + "input_layernorm.weight", Hidden),
        tensor(at + "self_attn.q_proj.weight", 8, Hidden),
        tensor(at + "self_attn.k_proj.weight", 4, Hidden),
        tensor(at + "self_attn.v_proj.weight", 4, Hidden),
        tensor(at + "self_attn.o_proj.weight", Hidden, 8),
        tensor(at + "post_attention_layernorm.weight", Hidden),
        tensor(at + "mlp.gate_proj.weight", Inner, Hidden),
        tensor(at + "mlp.up_proj.weight", Inner, Hidden),
        tensor(at + "mlp.down_proj.weight", Hidden, Inner))
    }
    Seq(tensor("model.embed_tokens.weight", Vocabulary, Hidden)) ++ layers ++
      Seq(tensor("model.norm.weight", Hidden), tensor("lm_head.weight", Vocabulary, Hidden))
  }

  /** A whole model in one safetensors file. */
  def model(tensors: Seq[StoredTensor], config: String = config): Path = {
    val at = directory()
    write(at, "config.json", config)
    write(at, "tokenizer.json", tokenizer)
    safetensors(at, "model.safetensors", tensors)
    at
  }
}
