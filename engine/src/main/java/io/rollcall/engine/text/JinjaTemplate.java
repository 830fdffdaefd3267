package io.rollcall.engine.text;

import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.interpret.Context;
import com.hubspot.jinjava.interpret.JinjavaInterpreter;
import com.hubspot.jinjava.interpret.TemplateError;
import com.hubspot.jinjava.interpret.TemplateError.ErrorType;
import com.hubspot.jinjava.lib.fn.ELFunctionDefinition;
import com.hubspot.jinjava.tree.Node;
import io.rollcall.engine.UserException;
import java.util.Map;
import java.util.Optional;

/**
 * A Jinja template, parsed once, rendered as transformers renders chat templates: blocks trimmed,
 * values never escaped and never interpreted again, {@code raise_exception} and {@code
 * strftime_now} at hand. Immutable, safe for concurrent use.
 */
final class JinjaTemplate {
  private static final Jinjava JINJAVA = jinjava();

  private final String name;
  private final Node root;

  /**
   * @param name for errors, such as {@code template 'x'}
   * @throws UserException when the source cannot be parsed
   */
  JinjaTemplate(String name, String source) {
    this.name = name;
    JinjavaInterpreter interpreter = interpreter(Map.of());
    this.root = interpreter.parse(JinjaDialect.adapt(source));
    if (!interpreter.getErrors().isEmpty()) {
      throw failure(interpreter.getErrors().get(0));
    }
  }

  /** @throws UserException when the template raises an exception or calls what does not exist */
  String render(Map<String, Object> bindings) {
    return render(interpreter(bindings));
  }

  /**
   * Whether a rendering asks for a variable. It is not looked for in the text, for a template may
   * keep as little of it as it likes.
   */
  boolean uses(String variable, Map<String, Object> bindings) {
    JinjavaInterpreter interpreter = interpreter(bindings);
    render(interpreter);
    return interpreter.getContext().wasValueResolved(variable);
  }

  private String render(JinjavaInterpreter interpreter) {
    JinjavaInterpreter.pushCurrent(interpreter);
    try {
      String text = interpreter.render(root);
      for (TemplateError error : interpreter.getErrors()) {
        if (error.getSeverity() == ErrorType.FATAL) {
          throw failure(error);
        }
      }
      return text;
    } finally {
      JinjavaInterpreter.popCurrent();
    }
  }

  private UserException failure(TemplateError error) {
    Optional<String> refusal = ChatFunctions.refusal(error.getException());
    if (refusal.isPresent()) {
      return new UserException(name + " refuses the prompt: " + refusal.get());
    }
    return new UserException(
        name + " cannot be rendered at line " + error.getLineno() + ": " + error.getMessage()
            + "; correct it, or use --template raw or a file",
        error.getException());
  }

  /** A context notes in its parents what was resolved: each rendering needs parents of its own. */
  private static JinjavaInterpreter interpreter(Map<String, Object> bindings) {
    Context context = new Context(JINJAVA.getGlobalContextCopy(), bindings);
    return new JinjavaInterpreter(JINJAVA, context, JINJAVA.getGlobalConfig());
  }

  private static Jinjava jinjava() {
    LegacyOverrides asJinja2 =
        LegacyOverrides.newBuilder()
            .withEvaluateMapKeys(true)
            .withIterateOverMapKeys(true)
            .withUseNaturalOperatorPrecedence(true)
            .withParseWhitespaceControlStrictly(true)
            .withUseTrimmingForNotesAndExpressions(true)
            .withKeepNullableLoopValues(true)
            .build();
    Jinjava jinjava =
        new Jinjava(
            JinjavaConfig.newBuilder()
                .withTrimBlocks(true)
                .withLstripBlocks(true)
                .withKeepTrailingNewline(true)
                .withNestedInterpretationEnabled(false)
                .withElResolver(PythonStrings.resolver())
                .withLegacyOverrides(asJinja2)
                .build());
    for (String function : ChatFunctions.NAMES) {
      jinjava.registerFunction(
          new ELFunctionDefinition("", function, ChatFunctions.class, function, String.class));
    }
    return jinjava;
  }
}
