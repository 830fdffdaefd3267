package io.rollcall.engine.checkpoint;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.rollcall.engine.UserException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * One JSON object of a checkpoint, or an object inside it, whose complaints name the file and the
 * field. A field that is null counts as absent.
 */
public record JsonFile(String model, String file, JsonNode root) {
  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** @throws UserException when the file is missing or not a JSON object */
  public static JsonFile read(ModelFiles files, String file) {
    return parse(files.name(), file, files.read(file));
  }

  /** As {@link #read}, an empty object where there is no such file. */
  public static JsonFile readIfPresent(ModelFiles files, String file) {
    return files.has(file)
        ? read(files, file)
        : new JsonFile(files.name(), file, JsonNodeFactory.instance.objectNode());
  }

  static JsonFile parse(String model, String file, byte[] json) {
    JsonNode root;
    try {
      root = MAPPER.readTree(json);
    } catch (JacksonException e) {
      throw new UserException(
          "file '" + file + "' of model '" + model + "' is not JSON ("
              + e.getOriginalMessage().lines().findFirst().orElse("")
              + "); download it again",
          e);
    } catch (IOException e) {
      throw new UserException("cannot read '" + file + "' of model '" + model + "'", e);
    }
    if (!root.isObject()) {
      throw new UserException(
          "file '" + file + "' of model '" + model + "' is not a JSON object; download it again");
    }
    return new JsonFile(model, file, root);
  }

  /** Whether the field is there and not null. */
  public boolean has(String field) {
    return root.hasNonNull(field);
  }

  /** The field as it stands; a missing node where it is absent or null. */
  public JsonNode node(String field) {
    return has(field) ? root.get(field) : JsonNodeFactory.instance.missingNode();
  }

  /** An object in a field, which {@code has} says is there. */
  public JsonFile object(String field) {
    JsonNode node = node(field);
    if (!node.isObject()) {
      throw wrong(field, "an object");
    }
    return new JsonFile(model, file, node);
  }

  /** @throws UserException when it is not a whole number, or absent */
  public int integer(String field) {
    JsonNode node = node(field);
    if (!node.isIntegralNumber() || !node.canConvertToInt()) {
      throw wrong(field, "a whole number");
    }
    return node.intValue();
  }

  public int integer(String field, int absent) {
    return has(field) ? integer(field) : absent;
  }

  /** A whole number above zero: a size or a count. */
  public int size(String field) {
    int value = integer(field);
    if (value <= 0) {
      throw wrong(field, "a number above zero");
    }
    return value;
  }

  public int size(String field, int absent) {
    return has(field) ? size(field) : absent;
  }

  /** @throws UserException when it is not a number, or absent */
  public double number(String field) {
    if (!node(field).isNumber()) {
      throw wrong(field, "a number");
    }
    return node(field).doubleValue();
  }

  public double number(String field, double absent) {
    return has(field) ? number(field) : absent;
  }

  /** @throws UserException when it is there and neither true nor false */
  public boolean flag(String field, boolean absent) {
    if (has(field) && !node(field).isBoolean()) {
      throw wrong(field, "true or false");
    }
    return has(field) ? node(field).booleanValue() : absent;
  }

  /** @throws UserException when it is not a string, or absent */
  public String text(String field) {
    if (!node(field).isTextual()) {
      throw wrong(field, "a string");
    }
    return node(field).textValue();
  }

  public String text(String field, String absent) {
    return has(field) ? text(field) : absent;
  }

  /** @throws UserException when it is not a list, or absent */
  public List<String> texts(String field) {
    List<String> texts = new ArrayList<>();
    if (!node(field).isArray()) {
      throw wrong(field, "a list of strings");
    }
    node(field).forEach(element -> texts.add(element.asText()));
    return List.copyOf(texts);
  }

  /** A complaint about a field's value, or its absence. */
  public UserException wrong(String field, String expected) {
    String found = has(field) ? field + " = " + node(field) : "no " + field;
    return new UserException(
        "file '" + file + "' of model '" + model + "' has " + found + "; it must be " + expected);
  }
}
