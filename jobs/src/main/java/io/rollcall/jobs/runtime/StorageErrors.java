package io.rollcall.jobs.runtime;

import java.net.ConnectException;
import java.net.UnknownHostException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a file system's exception says, for who gave its path. */
public final class StorageErrors {
  // what Hadoop's clients wrap these exceptions in
  private static final Pattern DESTINATION = Pattern.compile("destination host is: \"?([^\":;( ]+)");
  private static final Pattern CALLED = Pattern.compile(" to (\\S+) failed");
  private static final String CHECK =
      "; check the path, or fs.defaultFS where HADOOP_CONF_DIR points";

  private StorageErrors() {}

  /** One line: an unknown or silent host by its name, else the deepest cause's first line. */
  public static String line(Throwable e) {
    Throwable root = e;
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      String message = String.valueOf(cause.getMessage());
      if (cause instanceof UnknownHostException) {
        return "host '" + found(DESTINATION, message) + "' is not known here" + CHECK;
      }
      if (cause instanceof ConnectException) {
        return "nothing answers at " + found(CALLED, message) + CHECK;
      }
      root = cause;
    }
    String message = root.getMessage() == null ? root.toString() : root.getMessage();
    return message.lines().findFirst().orElse(root.toString()).strip();
  }

  private static String found(Pattern pattern, String message) {
    Matcher matcher = pattern.matcher(message);
    return matcher.find() ? matcher.group(1) : message;
  }
}
