package io.rollcall.engine.text;

import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Rewrites the few constructs of chat templates that Jinjava reads otherwise than Jinja2 does.
 * String literals and the text between tags stay as they are.
 *
 * <ul>
 *   <li>{@code not a is b}, {@code not a in b}: Jinjava binds {@code not} to {@code a}
 *   <li>{@code strftime_now is defined}: Jinjava's functions are no variables
 *   <li>{@code a[::-1]}: Jinjava's slices have no step
 *   <li>{@code namespace(a=b - c)}: Jinjava subtracts after it names the argument
 *   <li>{@code generation} blocks, which mark answers for training: Jinjava does not know them
 * </ul>
 */
final class JinjaDialect {
  private static final Pattern TAG = Pattern.compile("\\{[%{].*?[%}]}", Pattern.DOTALL);

  private static final String LITERAL = "'(?:\\\\.|[^'\\\\])*'|\"(?:\\\\.|[^\"\\\\])*\"";
  private static final String OPERAND =
      "[A-Za-z_]\\w*(?:\\.\\w+|\\[(?:" + LITERAL + "|-?\\w+)])*";
  private static final String PARENTHESISED = "\\((?:" + LITERAL + "|[^()'\"])*\\)";
  private static final Pattern CONSTRUCT =
      Pattern.compile(
          "(?<literal>" + LITERAL + ")"
              + "|\\bnot\\s+(?<operand>" + LITERAL + "|" + OPERAND + ")"
              + "\\s+(?<test>is|in)\\s+(?!not\\b)"
              + "|\\b(?<function>strftime_now|raise_exception)\\s+is\\s+defined\\b"
              + "|(?<reversed>\\[::-1])"
              + "|\\bnamespace\\("
              + "(?<arguments>(?:" + LITERAL + "|" + PARENTHESISED + "|[^()'\"])*)\\)",
          Pattern.DOTALL);
  private static final Pattern ARGUMENT =
      Pattern.compile(
          "(\\w+)\\s*=\\s*((?:" + LITERAL + "|" + PARENTHESISED + "|[^,'\"()])+)", Pattern.DOTALL);

  private static final Pattern GENERATION =
      Pattern.compile("\\{%([-+]?)\\s*(end)?generation\\s*([-+]?)%}");

  private JinjaDialect() {}

  /** The source as Jinjava must see it; one newline at its end is dropped, as Jinja2 does. */
  static String adapt(String source) {
    String trimmed = source.endsWith("\n") ? source.substring(0, source.length() - 1) : source;
    Matcher tag = TAG.matcher(GENERATION.matcher(trimmed).replaceAll(JinjaDialect::always));
    StringBuilder adapted = new StringBuilder();
    while (tag.find()) {
      tag.appendReplacement(adapted, Matcher.quoteReplacement(adaptTag(tag.group())));
    }
    return tag.appendTail(adapted).toString();
  }

  private static String always(MatchResult generation) {
    String word = generation.group(2) == null ? " if true " : " endif ";
    return "{%" + generation.group(1) + word + generation.group(3) + "%}";
  }

  private static String adaptTag(String tag) {
    Matcher construct = CONSTRUCT.matcher(tag);
    StringBuilder adapted = new StringBuilder();
    while (construct.find()) {
      construct.appendReplacement(adapted, Matcher.quoteReplacement(replacement(construct)));
    }
    return construct.appendTail(adapted).toString();
  }

  private static String replacement(Matcher construct) {
    String operand = construct.group("operand");
    if (operand != null) {
      return construct.group("test").equals("is")
          ? operand + " is not "
          : operand + " not in ";
    }
    if (construct.group("function") != null) {
      return "true";
    }
    if (construct.group("reversed") != null) {
      return "|reverse|list";
    }
    String arguments = construct.group("arguments");
    return arguments == null
        ? construct.group()
        : "namespace(" + ARGUMENT.matcher(arguments).replaceAll("$1=($2)") + ")";
  }
}
