package io.rollcall.engine.text;

import com.hubspot.jinjava.el.JinjavaInterpreterResolver;
import java.beans.FeatureDescriptor;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import jinjava.javax.el.CompositeELResolver;
import jinjava.javax.el.ELContext;
import jinjava.javax.el.ELResolver;

/** The methods of Python's strings that chat templates call and Java's strings lack. */
final class PythonStrings extends ELResolver {
  private static final Pattern WORD = Pattern.compile("\\p{L}+");

  /** Jinjava's own resolver behind this one. */
  static ELResolver resolver() {
    CompositeELResolver composite = new CompositeELResolver();
    composite.add(new PythonStrings());
    composite.add(JinjavaInterpreterResolver.DEFAULT_RESOLVER_READ_ONLY);
    return composite;
  }

  @Override
  public Object invoke(
      ELContext context, Object base, Object method, Class<?>[] types, Object[] arguments) {
    if (!(base instanceof String text) || method == null) {
      return null;
    }
    Object result = call(text, method.toString(), arguments == null ? new Object[0] : arguments);
    if (result != null) {
      context.setPropertyResolved(true);
    }
    return result;
  }

  private static Object call(String text, String method, Object[] arguments) {
    String first = arguments.length == 0 ? null : String.valueOf(arguments[0]);
    return switch (method) {
      case "strip" -> strip(text, first, true, true);
      case "lstrip" -> strip(text, first, true, false);
      case "rstrip" -> strip(text, first, false, true);
      case "upper" -> text.toUpperCase(Locale.ROOT);
      case "lower" -> text.toLowerCase(Locale.ROOT);
      case "capitalize" -> capitalize(text);
      case "title" -> WORD.matcher(text).replaceAll(word -> capitalize(word.group()));
      case "startswith" -> first == null ? null : text.startsWith(first);
      case "endswith" -> first == null ? null : text.endsWith(first);
      case "split" -> split(text, first);
      default -> null;
    };
  }

  private static String strip(String text, String characters, boolean left, boolean right) {
    int begin = 0;
    int end = text.length();
    while (left && begin < end && strips(text.charAt(begin), characters)) {
      begin++;
    }
    while (right && end > begin && strips(text.charAt(end - 1), characters)) {
      end--;
    }
    return text.substring(begin, end);
  }

  private static boolean strips(char c, String characters) {
    return characters == null ? Character.isWhitespace(c) : characters.indexOf(c) >= 0;
  }

  private static String capitalize(String text) {
    return text.isEmpty()
        ? text
        : text.substring(0, 1).toUpperCase(Locale.ROOT)
            + text.substring(1).toLowerCase(Locale.ROOT);
  }

  private static List<String> split(String text, String separator) {
    return separator == null
        ? List.of(text.strip().split("\\s+"))
        : List.of(text.split(Pattern.quote(separator), -1));
  }

  /** One character by its index, from the end where negative. */
  @Override
  public Object getValue(ELContext context, Object base, Object property) {
    if (!(base instanceof String text) || !(property instanceof Number number)) {
      return null;
    }
    int index = number.intValue() < 0 ? text.length() + number.intValue() : number.intValue();
    if (index < 0 || index >= text.length()) {
      return null;
    }
    context.setPropertyResolved(true);
    return text.substring(index, index + 1);
  }

  @Override
  public Class<?> getType(ELContext context, Object base, Object property) {
    return null;
  }

  @Override
  public void setValue(ELContext context, Object base, Object property, Object value) {}

  @Override
  public boolean isReadOnly(ELContext context, Object base, Object property) {
    return true;
  }

  @Override
  public Iterator<FeatureDescriptor> getFeatureDescriptors(ELContext context, Object base) {
    return List.<FeatureDescriptor>of().iterator();
  }

  @Override
  public Class<?> getCommonPropertyType(ELContext context, Object base) {
    return null;
  }
}
