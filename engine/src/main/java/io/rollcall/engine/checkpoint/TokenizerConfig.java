package io.rollcall.engine.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.util.Optional;

/**
 * What tokenizer_config.json and the files around it say beside the tokenizer itself.
 *
 * @param begin the begin-of-text token's text
 * @param end the end-of-text token's text
 * @param chatTemplate Jinja source; chat_template.jinja wins over the field, and of several named
 *     ones the one called default counts
 */
public record TokenizerConfig(
    Optional<String> begin, Optional<String> end, Optional<String> chatTemplate) {
  private static final String TEMPLATE_FILE = "chat_template.jinja";

  /** Reads tokenizer_config.json, and what it leaves to special_tokens_map.json. */
  public static TokenizerConfig read(ModelFiles files) {
    JsonFile config = JsonFile.readIfPresent(files, "tokenizer_config.json");
    JsonFile map = JsonFile.readIfPresent(files, "special_tokens_map.json");
    return new TokenizerConfig(
        token(config, "bos_token").or(() -> token(map, "bos_token")),
        token(config, "eos_token").or(() -> token(map, "eos_token")),
        files.has(TEMPLATE_FILE)
            ? Optional.of(new String(files.read(TEMPLATE_FILE), StandardCharsets.UTF_8))
            : chatTemplate(config));
  }

  /** A token's text stands alone or in an object that also says how it is matched. */
  private static Optional<String> token(JsonFile json, String field) {
    JsonNode node = json.node(field);
    return text(node.isObject() ? node.path("content") : node);
  }

  private static Optional<String> chatTemplate(JsonFile config) {
    JsonNode node = config.node("chat_template");
    for (JsonNode named : node) {
      if (named.path("name").asText().equals("default")) {
        return text(named.path("template"));
      }
    }
    return text(node);
  }

  private static Optional<String> text(JsonNode node) {
    return node.isTextual() ? Optional.of(node.textValue()) : Optional.empty();
  }
}
