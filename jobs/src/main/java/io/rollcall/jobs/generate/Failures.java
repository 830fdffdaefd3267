package io.rollcall.jobs.generate;

import io.rollcall.engine.UserException;
import java.util.List;
import java.util.function.Supplier;
import org.apache.spark.sql.SparkSession;

/** Finds the one line in a failed Spark job. */
public final class Failures {
  private Failures() {}

  /**
   * Runs Spark jobs.
   *
   * @throws UserException when one fails, {@link #explain}ed
   */
  public static <T> T explained(Supplier<T> jobs) {
    try {
      return jobs.get();
    } catch (Exception e) { // Scala throws checked ones undeclared, SparkException among them
      throw explain(e);
    }
  }

  /**
   * The user's mistake where one is at the bottom of it; that Spark was stopped, where it was; else the
   * deepest cause's first line.
   */
  public static UserException explain(Throwable e) {
    Throwable root = e;
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof UserException user) {
        return user;
      }
      root = cause;
    }
    if (stopped()) {
      return new UserException(
          "the run was stopped from outside before it ended, and nothing was written; start it again",
          e);
    }
    String message = root.getMessage() == null ? root.toString() : root.getMessage();
    return new UserException("the job failed: " + firstSentence(message), e);
  }

  /** What fails while Spark stops says nothing of why: it finds parts of the context gone. */
  private static boolean stopped() {
    // sessions count until their context is stopped
    return SparkSession.getActiveSession().isEmpty() && SparkSession.getDefaultSession().isEmpty();
  }

  /** The first line; with the next where it only announces it. */
  private static String firstSentence(String message) {
    List<String> lines = message.lines().map(String::strip).filter(line -> !line.isEmpty()).toList();
    boolean announces = lines.size() > 1 && lines.get(0).endsWith(":");
    return String.join(" ", lines.subList(0, announces ? 2 : Math.min(1, lines.size())));
  }
}
