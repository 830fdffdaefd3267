package io.rollcall.engine.model

import java.nio.file.Path

import scala.jdk.CollectionConverters._

import org.scalatest.funsuite.AnyFunSuite

import io.rollcall.engine.UserException
import io.rollcall.engine.checkpoint.{ModelFiles, TinyCheckpoint}
import io.rollcall.kernels.Activation

class ModelConfigSuite extends AnyFunSuite {
  private val sizes =
    """"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
      | "num_attention_heads": 2, "vocab_size": 100""".stripMargin

  private def config(fields: String, files: (String, String)*): ModelConfig = {
    val at: Path = TinyCheckpoint.directory()
    TinyCheckpoint.write(at, "config.json", s"{$fields}")
    files.foreach { case (name, text) => TinyCheckpoint.write(at, name, text) }
    ModelConfig.read(ModelFiles.directory(at))
  }

  private def llama(fields: String, files: (String, String)*): ModelConfig =
    config(s""""model_type": "llama", $sizes${if (fields.isEmpty) "" else ", " + fields}""", files: _*)

  private def refusal(use: => Any): String = intercept[UserException](use).getMessage

  private def ends(fields: String, files: (String, String)*): Set[Int] =
    llama(fields, files: _*).endTokens.asScala.map(_.intValue).toSet

  test("what a config leaves out is what transformers takes for it") {
    val read = llama("")
    assert(read.kvHeads == 2 && read.headSize == 64 && read.context == 2048)
    assert(read.normEpsilon == 1e-6f && !read.tiedEmbeddings && read.activation == Activation.SILU)
    assert(read.bosToken == -1 && read.endTokens.isEmpty)
    assert(math.abs(read.rope.inverseFrequencies()(16) - 1e-2f) < 1e-8f)
  }

  test("an architecture that is not supported is refused with those that are") {
    val message = refusal(config(s""""model_type": "mamba", $sizes"""))
    assert(message.contains("\"mamba\"") && message.endsWith("one of llama"), message)
    assert(refusal(config(sizes)).contains("no model_type"))
  }

  test("biases, quantised checkpoints and partial rotation are refused by name") {
    assert(refusal(llama("\"attention_bias\": true")).contains("attention_bias = true"))
    assert(refusal(llama("\"mlp_bias\": true")).contains("mlp_bias = true"))
    assert(refusal(llama("\"partial_rotary_factor\": 0.5")).contains("partial_rotary_factor"))
    assert(refusal(llama("\"quantization_config\": {\"quant_method\": \"gptq\"}")).contains("--weights"))
  }

  test("an activation is read by its Hugging Face name or refused with those there are") {
    val known = Map(
      "silu" -> Activation.SILU, "gelu_pytorch_tanh" -> Activation.GELU_TANH, "relu" -> Activation.RELU)
    for ((name, activation) <- known) assert(llama(s""""hidden_act": "$name"""").activation == activation)
    val message = refusal(llama("\"hidden_act\": \"gelu\""))
    assert(message.contains("'gelu'") && known.keys.forall(message.contains(_)), message)
  }

  test("a field of the wrong kind is named with its value and its file") {
    assert(refusal(llama("\"head_dim\": \"x\"")).contains("config.json"))
    assert(refusal(llama("\"head_dim\": \"x\"")).contains("head_dim = \"x\"; it must be a whole number"))
    assert(refusal(llama("\"head_dim\": 0")).contains("head_dim = 0; it must be a number above zero"))
    assert(refusal(llama("\"num_key_value_heads\": 3")).contains("num_key_value_heads = 3"))
    assert(refusal(config("\"model_type\": \"llama\"")).contains("no num_attention_heads")
      || refusal(config("\"model_type\": \"llama\"")).contains("no hidden_size"))
  }

  test("a config.json that is not JSON is refused in one line") {
    val at = TinyCheckpoint.directory()
    TinyCheckpoint.write(at, "config.json", "{ oops")
    val message = refusal(ModelConfig.read(ModelFiles.directory(at)))
    assert(message.contains("is not JSON") && !message.contains("\n"), message)
  }

  test("generation_config.json's end tokens win over config.json's, one or many") {
    assert(ends("\"eos_token_id\": 7") == Set(7))
    assert(ends("\"eos_token_id\": [7, 8]") == Set(7, 8))
    assert(ends("\"eos_token_id\": 7", "generation_config.json" -> "{\"eos_token_id\": [1, 2]}") == Set(1, 2))
    assert(ends("\"eos_token_id\": 7", "generation_config.json" -> "{\"eos_token_id\": 3}") == Set(3))
    assert(ends("\"eos_token_id\": 7", "generation_config.json" -> "{\"eos_token_id\": null}") == Set(7))
    assert(refusal(ends("\"eos_token_id\": \"x\"")).contains("eos_token_id"))
  }

  test("the tokenizer's end token ends a generation where no config names one") {
    val tokenizer = "tokenizer.json" -> TinyCheckpoint.tokenizer
    assert(ends("", tokenizer, "tokenizer_config.json" -> "{\"eos_token\": \"</s>\"}") == Set(2))
    assert(ends("", tokenizer, "tokenizer_config.json" -> "{\"eos_token\": {\"content\": \"</s>\"}}") == Set(2))
    assert(ends("", tokenizer, "special_tokens_map.json" -> "{\"eos_token\": \"</s>\"}") == Set(2))
    assert(ends("", tokenizer, "tokenizer_config.json" -> "{\"eos_token\": \"<other>\"}").isEmpty)
  }

  private def close(actual: Float, expected: Double): Boolean =
    math.abs(actual - expected) <= 3e-7 * expected

  test("rope_theta is read from old configs and new ones alike") {
    val old = llama("\"rope_theta\": 500000.0")
    val now = llama("\"rope_parameters\": {\"rope_theta\": 500000.0, \"rope_type\": \"default\"}")
    for (read <- Seq(old, now)) {
      assert(read.rope.inverseFrequencies.length == 32)
      assert(close(read.rope.inverseFrequencies()(5), 0.12868737343265052))
    }
  }

  test("linear scaling slows every frequency, whichever name its type has") {
    for (name <- Seq("type", "rope_type")) {
      val scaled = llama(s""""rope_scaling": {"$name": "linear", "factor": 4.0}""")
      assert(close(scaled.rope.inverseFrequencies()(0), 0.25))
      assert(close(scaled.rope.inverseFrequencies()(16), 0.0025))
    }
  }

  test("llama3 scaling gives the frequencies of Llama 3.2 1B") {
    // (pair, frequency) worked out in double precision from the published recipe
    val expected = Seq(
      0 -> 1.0, 5 -> 0.12868737343265052, 14 -> 0.0032114459947525913, 15 -> 0.001290547928209264,
      16 -> 0.00042955679655936815, 17 -> 9.70828780262767e-05, 18 -> 1.9461638184831125e-05,
      19 -> 1.291476718704739e-05, 31 -> 9.418306725434909e-08)
    val scaling =
      """{"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        | "original_max_position_embeddings": 8192""".stripMargin
    val old = llama(s""""rope_theta": 500000.0, "rope_scaling": $scaling}""")
    val now = llama(s""""rope_parameters": $scaling, "rope_theta": 500000.0}""")
    for (read <- Seq(old, now); (pair, frequency) <- expected)
      assert(close(read.rope.inverseFrequencies()(pair), frequency), s"pair $pair")
  }

  test("another rope type is refused with the supported ones") {
    val message = refusal(llama("\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 2.0}"))
    assert(message.contains("'yarn'") && message.contains("default, linear, llama3"), message)
  }
}
