package io.rollcall.engine.model;

import com.fasterxml.jackson.databind.JsonNode;
import io.rollcall.engine.checkpoint.JsonFile;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.checkpoint.TokenizerConfig;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;

/**
 * The tokens that begin and end a text.
 *
 * @param begin -1 where there is none
 * @param ends empty where nothing but the length ends a generation
 */
record SpecialTokens(int begin, Set<Integer> ends) {

  /**
   * The first that says something wins: generation_config.json, config.json, and the end token that
   * tokenizer_config.json names.
   */
  static SpecialTokens read(ModelFiles files, JsonFile config) {
    JsonFile generation = JsonFile.readIfPresent(files, "generation_config.json");
    Set<Integer> ends = ids(generation, "eos_token_id");
    if (ends.isEmpty()) {
      ends = ids(config, "eos_token_id");
    }
    if (ends.isEmpty()) {
      ends = named(files);
    }
    return new SpecialTokens(
        ids(config, "bos_token_id").stream().findFirst().orElse(-1), Set.copyOf(ends));
  }

  private static Set<Integer> ids(JsonFile json, String field) {
    JsonNode node = json.node(field);
    Set<Integer> ids = new TreeSet<>();
    if (node.isMissingNode()) {
      return ids;
    }
    for (JsonNode id : node.isArray() ? node : List.of(node)) {
      if (!id.canConvertToInt() || id.intValue() < 0) {
        throw json.wrong(field, "a token id or a list of them");
      }
      ids.add(id.intValue());
    }
    return ids;
  }

  private static Set<Integer> named(ModelFiles files) {
    Optional<String> end = TokenizerConfig.read(files).end();
    if (end.isEmpty() || !files.has("tokenizer.json")) {
      return Set.of();
    }
    for (JsonNode token : JsonFile.read(files, "tokenizer.json").node("added_tokens")) {
      if (token.path("content").asText().equals(end.get())) {
        return Set.of(token.path("id").intValue());
      }
    }
    return Set.of();
  }
}
