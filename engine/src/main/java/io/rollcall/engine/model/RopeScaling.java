package io.rollcall.engine.model;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.JsonFile;

/**
 * Reads a config's rotary embedding. Configs of transformers 5 hold all of it in {@code
 * rope_parameters}; older ones have {@code rope_theta} at the top and an optional {@code
 * rope_scaling}, whose type was once called {@code type}.
 */
final class RopeScaling {
  private static final double DEFAULT_THETA = 10_000;

  private RopeScaling() {}

  /** @throws UserException for a type other than default, linear and llama3 */
  static Rope rope(JsonFile config, int headSize) {
    JsonFile parameters = parameters(config);
    if (headSize % 2 != 0) {
      throw config.wrong("head_dim", "even for a rotary embedding");
    }
    if (parameters.number("partial_rotary_factor", 1) != 1
        || config.number("partial_rotary_factor", 1) != 1) {
      throw new UserException(
          "model '" + config.model() + "' has a partial_rotary_factor other than 1; supported is a"
              + " rotary embedding of whole heads");
    }
    double theta =
        parameters.number("rope_theta", config.number("rope_theta", DEFAULT_THETA));
    float[] frequencies = new float[headSize / 2];
    for (int i = 0; i < frequencies.length; i++) {
      float exponent = 2f * i / headSize;
      frequencies[i] = scale(parameters, config, (float) (1 / Math.pow(theta, exponent)));
    }
    return new Rope(frequencies);
  }

  private static JsonFile parameters(JsonFile config) {
    for (String field : new String[] {"rope_parameters", "rope_scaling"}) {
      if (config.has(field)) {
        return config.object(field);
      }
    }
    return new JsonFile(
        config.model(), config.file(), JsonNodeFactory.instance.objectNode());
  }

  private static float scale(JsonFile parameters, JsonFile config, float frequency) {
    String type = parameters.text("rope_type", parameters.text("type", "default"));
    return switch (type) {
      case "default" -> frequency;
      case "linear" -> (float) (frequency / parameters.number("factor"));
      case "llama3" -> llama3(parameters, config, frequency);
      default ->
          throw new UserException(
              "model '" + parameters.model() + "' has rope_type '" + type
                  + "'; supported: default, linear, llama3");
    };
  }

  /**
   * Llama 3.1's: a wave that turns often within the original context keeps its frequency, one that
   * turns rarely is slowed by {@code factor}, and those between are blended linearly in the number
   * of turns.
   */
  private static float llama3(JsonFile parameters, JsonFile config, float frequency) {
    double factor = parameters.number("factor");
    double few = parameters.number("low_freq_factor");
    double many = parameters.number("high_freq_factor");
    double context =
        parameters.has("original_max_position_embeddings")
            ? parameters.size("original_max_position_embeddings")
            : config.size("max_position_embeddings");
    double turns = context * frequency / (2 * Math.PI);
    double kept = Math.min(1, Math.max(0, (turns - few) / (many - few)));
    return (float) (frequency * (kept + (1 - kept) / factor));
  }
}
