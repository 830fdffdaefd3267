package io.rollcall.engine.text;

import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/** The functions that transformers gives to chat templates; named and called by reflection. */
public final class ChatFunctions {
  static final List<String> NAMES = List.of("raise_exception", "strftime_now");

  private static final Map<Character, String> PATTERNS =
      Map.ofEntries(
          Map.entry('a', "EEE"),
          Map.entry('A', "EEEE"),
          Map.entry('b', "MMM"),
          Map.entry('B', "MMMM"),
          Map.entry('d', "dd"),
          Map.entry('H', "HH"),
          Map.entry('I', "hh"),
          Map.entry('j', "DDD"),
          Map.entry('m', "MM"),
          Map.entry('M', "mm"),
          Map.entry('p', "a"),
          Map.entry('S', "ss"),
          Map.entry('y', "yy"),
          Map.entry('Y', "yyyy"),
          Map.entry('Z', "zzz"));

  private ChatFunctions() {}

  private static final class Refusal extends RuntimeException {
    Refusal(String message) {
      super(message);
    }
  }

  /** Ends the rendering. */
  public static String raise_exception(String message) {
    throw new Refusal(message);
  }

  /** Now, in C's strftime format. */
  public static String strftime_now(String format) {
    ZonedDateTime now = ZonedDateTime.now();
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < format.length(); i++) {
      char c = format.charAt(i);
      if (c != '%' || i + 1 == format.length()) {
        text.append(c);
        continue;
      }
      char directive = format.charAt(++i);
      String pattern = PATTERNS.get(directive);
      if (pattern != null) {
        text.append(now.format(DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH)));
      } else if (directive == '%') {
        text.append('%');
      } else {
        throw new Refusal("strftime_now does not know %" + directive);
      }
    }
    return text.toString();
  }

  /** What a template said when it raised this error, if it did. */
  static Optional<String> refusal(Throwable error) {
    for (Throwable cause = error; cause != null; cause = cause.getCause()) {
      if (cause instanceof Refusal) {
        return Optional.of(cause.getMessage());
      }
    }
    return Optional.empty();
  }
}
