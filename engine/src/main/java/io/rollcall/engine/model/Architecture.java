package io.rollcall.engine.model;

import io.rollcall.engine.checkpoint.JsonFile;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * A family of models: what its config.json means and how its tensors are called. Another family
 * whose layers compute the same is one more implementation in {@link #ALL}.
 */
interface Architecture {

  List<Architecture> ALL = List.of(new LlamaArchitecture());

  /**
   * Names of a layer's tensors.
   *
   * @param down [d x f], as checkpoints store a down projection
   */
  record LayerNames(
      String attentionNorm,
      String query,
      String key,
      String value,
      String output,
      String feedForwardNorm,
      String gate,
      String up,
      String down) {}

  /** config.json's {@code model_type}. */
  String modelType();

  /** @throws io.rollcall.engine.UserException naming the field when the config asks for what the engine cannot do */
  ModelConfig config(JsonFile config, SpecialTokens tokens);

  LayerNames layer(int index);

  String embedding();

  String norm();

  String head();

  /** @throws io.rollcall.engine.UserException naming the supported families */
  static Architecture of(JsonFile config) {
    return named(config.text("model_type", ""))
        .orElseThrow(() -> config.wrong("model_type", "one of " + supported()));
  }

  static Optional<Architecture> named(String modelType) {
    return ALL.stream()
        .filter(architecture -> architecture.modelType().equals(modelType))
        .findFirst();
  }

  private static String supported() {
    return ALL.stream().map(Architecture::modelType).collect(Collectors.joining(", "));
  }
}
