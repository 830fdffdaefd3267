package io.rollcall.engine.text;

import io.rollcall.engine.UserException;
import io.rollcall.engine.checkpoint.Manifest;
import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.checkpoint.TokenizerConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;

/** Turns a row's prompt into the tokens that a model is given. Immutable, safe for concurrent use. */
public final class PromptTemplate {
  private static final String RAW = "raw";
  private static final String SUMMARIZE = "summarize";
  private static final String CHAT = "chat";
  private static final String PROMPT = "prompt";
  private static final String SUMMARIZE_INSTRUCTION = "Summarize in one line:\n";

  private final String name;
  private final UnaryOperator<String> renderer;
  private final boolean special;
  private final TextTokenizer tokenizer;

  private PromptTemplate(
      String name, UnaryOperator<String> renderer, boolean special, TextTokenizer tokenizer) {
    this.name = name;
    this.renderer = renderer;
    this.special = special;
    this.tokenizer = tokenizer;
  }

  /**
   * @param spec raw, summarize, chat, or the path of a file that {@link #ofSource} can read
   * @throws UserException when there is no such file, the model has no chat template for chat or
   *     summarize, or a template cannot be rendered
   */
  public static PromptTemplate of(String spec, ModelFiles files, TextTokenizer tokenizer) {
    return switch (spec) {
      case RAW -> new PromptTemplate(RAW, text -> text, true, tokenizer);
      case CHAT -> chat(CHAT, "", files, tokenizer);
      case SUMMARIZE -> chat(SUMMARIZE, SUMMARIZE_INSTRUCTION, files, tokenizer);
      default -> ofSource(spec, read(spec), files, tokenizer);
    };
  }

  /** Whether a name means a file, whose content {@link #ofSource} takes. */
  public static boolean isFile(String spec) {
    return !List.of(RAW, CHAT, SUMMARIZE).contains(spec);
  }

  /**
   * A user's own template: Jinja that renders the whole prompt, special tokens included.
   *
   * @param name how the user named it
   * @param source uses {@code prompt}, and as it likes {@code bos_token} and {@code eos_token}
   * @throws UserException when it cannot be rendered or does not use the prompt
   */
  public static PromptTemplate ofSource(
      String name, String source, ModelFiles files, TextTokenizer tokenizer) {
    JinjaTemplate template = new JinjaTemplate("template '" + name + "'", source);
    Map<String, Object> constants = constants(TokenizerConfig.read(files));
    PromptTemplate checked =
        checked(name, text -> template.render(with(constants, PROMPT, text)), tokenizer);
    if (!template.uses(PROMPT, with(constants, PROMPT, "text"))) {
      throw new UserException(
          "template '" + name + "' does not use {{ prompt }}: every row would ask the same; write"
              + " it where the row's prompt belongs");
    }
    return checked;
  }

  /** What a model uses where nothing is asked for: its manifest's, else chat, else raw. */
  public static PromptTemplate defaultOf(ModelFiles files, TextTokenizer tokenizer) {
    String spec =
        Manifest.read(files)
            .map(Manifest::template)
            .orElseGet(
                () -> TokenizerConfig.read(files).chatTemplate().isPresent() ? CHAT : RAW);
    return of(spec, files, tokenizer);
  }

  /** As the user would name it: raw, summarize, chat, or a file. */
  public String name() {
    return name;
  }

  /** The text that a prompt becomes; special tokens that the tokenizer adds are not in it. */
  public String render(String prompt) {
    return renderer.apply(prompt);
  }

  /**
   * The tokens of a prompt, as {@code add_special_tokens} and the template want them.
   *
   * @throws UserException when the template refuses the prompt
   */
  public int[] encode(String prompt) {
    return tokenizer.encode(render(prompt), special);
  }

  private static PromptTemplate chat(
      String name, String instruction, ModelFiles files, TextTokenizer tokenizer) {
    TokenizerConfig config = TokenizerConfig.read(files);
    String source =
        config
            .chatTemplate()
            .orElseThrow(
                () ->
                    new UserException(
                        "model '" + files.name() + "' has no chat template, which --template "
                            + name + " needs; use --template raw or a file"));
    JinjaTemplate template =
        new JinjaTemplate("chat template of model '" + files.name() + "'", source);
    Map<String, Object> constants = constants(config);
    constants.put("add_generation_prompt", true);
    return checked(
        name,
        text ->
            template.render(
                with(
                    constants,
                    "messages",
                    List.of(Map.of("role", "user", "content", instruction + text)))),
        tokenizer);
  }

  /** Renders once, so that a template which cannot be rendered fails before the work starts. */
  private static PromptTemplate checked(
      String name, UnaryOperator<String> renderer, TextTokenizer tokenizer) {
    renderer.apply("text");
    return new PromptTemplate(name, renderer, false, tokenizer);
  }

  private static Map<String, Object> constants(TokenizerConfig config) {
    Map<String, Object> constants = new HashMap<>();
    constants.put("bos_token", config.begin().orElse(""));
    constants.put("eos_token", config.end().orElse(""));
    return constants;
  }

  private static Map<String, Object> with(
      Map<String, Object> constants, String name, Object value) {
    Map<String, Object> bindings = new HashMap<>(constants);
    bindings.put(name, value);
    return bindings;
  }

  private static String read(String file) {
    try {
      return Files.readString(Path.of(file));
    } catch (IOException | InvalidPathException e) {
      throw new UserException(
          "template '" + file + "' cannot be read (" + e
              + "); use raw, summarize, chat or the path of a Jinja file",
          e);
    }
  }
}
