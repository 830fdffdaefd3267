package io.rollcall.engine.model;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.JsonFile;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.kernels.Activation;
import io.rollcall.kernels.AttentionShape;
import java.util.Set;

/**
 * Shape and constants of a decoder-only gated-MLP transformer, read from config.json.
 *
 * @param architecture config.json's {@code model_type}
 * @param hiddenSize d
 * @param intermediateSize f
 * @param context positions the model was trained for
 * @param bosToken first token of a text, or -1
 * @param endTokens any of these ends a generation (generation_config.json wins over config.json)
 */
public record ModelConfig(
    String architecture,
    int layers,
    int hiddenSize,
    int intermediateSize,
    int heads,
    int kvHeads,
    int headSize,
    int vocabulary,
    int context,
    float normEpsilon,
    Rope rope,
    Activation activation,
    boolean tiedEmbeddings,
    int bosToken,
    Set<Integer> endTokens) {

  /**
   * Reads config.json, and generation_config.json for the tokens that end a generation.
   *
   * @throws UserException naming the field that is missing or unsupported
   */
  public static ModelConfig read(ModelFiles files) {
    JsonFile config = JsonFile.read(files, "config.json");
    if (config.has("quantization_config")) {
      throw new UserException(
          "model '" + files.name()
              + "' is quantised (quantization_config in config.json); use its original weights and"
              + " --weights");
    }
    return Architecture.of(config).config(config, SpecialTokens.read(files, config));
  }

  /** Elements of all weights; tied embeddings count once. */
  public long parameters() {
    long d = hiddenSize;
    long attention = 2L * (heads + kvHeads) * headSize * d;
    long layer = attention + 3 * d * intermediateSize + 2 * d;
    return (tiedEmbeddings ? 1L : 2L) * vocabulary * d + layers * layer + d;
  }

  /** Attention over a cache whose slots hold {@code slotContext} positions. */
  public AttentionShape attention(int slotContext) {
    return new AttentionShape(heads, kvHeads, headSize, slotContext);
  }
}
