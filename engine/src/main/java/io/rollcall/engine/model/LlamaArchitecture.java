package io.rollcall.engine.model;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.JsonFile;
import io.rollcall.kernels.Activation;

/** Llama 1 to 3 and what follows their layout: grouped-query attention, RMS norms, no biases. */
final class LlamaArchitecture implements Architecture {

  @Override
  public String modelType() {
    return "llama";
  }

  @Override
  public ModelConfig config(JsonFile config, SpecialTokens tokens) {
    refuse(config, "attention_bias");
    refuse(config, "mlp_bias");
    int hidden = config.size("hidden_size");
    int heads = config.size("num_attention_heads");
    int kvHeads = config.size("num_key_value_heads", heads);
    if (heads % kvHeads != 0) {
      throw config.wrong("num_key_value_heads", "a divisor of num_attention_heads " + heads);
    }
    if (!config.has("head_dim") && hidden % heads != 0) {
      throw config.wrong("hidden_size", "a multiple of num_attention_heads " + heads);
    }
    int headSize = config.size("head_dim", hidden / heads);
    return new ModelConfig(
        modelType(),
        config.size("num_hidden_layers"),
        hidden,
        config.size("intermediate_size"),
        heads,
        kvHeads,
        headSize,
        config.size("vocab_size"),
        config.size("max_position_embeddings", 2048),
        (float) config.number("rms_norm_eps", 1e-6),
        RopeScaling.rope(config, headSize),
        activation(config),
        config.flag("tie_word_embeddings", false),
        tokens.begin(),
        tokens.ends());
  }

  @Override
  public LayerNames layer(int index) {
    String layer = "model.layers." + index + ".";
    return new LayerNames(
        layer + "input_layernorm.weight",
        layer + "self_attn.q_proj.weight",
        layer + "self_attn.k_proj.weight",
        layer + "self_attn.v_proj.weight",
        layer + "self_attn.o_proj.weight",
        layer + "post_attention_layernorm.weight",
        layer + "mlp.gate_proj.weight",
        layer + "mlp.up_proj.weight",
        layer + "mlp.down_proj.weight");
  }

  @Override
  public String embedding() {
    return "model.embed_tokens.weight";
  }

  @Override
  public String norm() {
    return "model.norm.weight";
  }

  @Override
  public String head() {
    return "lm_head.weight";
  }

  private static void refuse(JsonFile config, String bias) {
    if (config.flag(bias, false)) {
      throw new UserException(
          "model '" + config.model() + "' has " + bias
              + " = true; supported are llama models without biases");
    }
  }

  private static Activation activation(JsonFile config) {
    String name = config.text("hidden_act", "silu");
    return switch (name) {
      case "silu", "swish" -> Activation.SILU;
      case "gelu_pytorch_tanh", "gelu_new" -> Activation.GELU_TANH;
      case "relu" -> Activation.RELU;
      default ->
          throw new UserException(
              "model '" + config.model() + "' has hidden_act '" + name
                  + "'; supported: silu (swish), gelu_pytorch_tanh (gelu_new), relu");
    };
  }
}
