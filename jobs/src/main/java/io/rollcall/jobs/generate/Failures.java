package io.rollcall.jobs.generate;

import io.rollcall.engine.UserException;

/** Finds the one line in a failed Spark job. */
final class Failures {
  private Failures() {}

  /** The user's mistake where one is at the bottom of it, else the deepest cause's first line. */
  static UserException explain(Throwable e) {
    Throwable root = e;
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof UserException user) {
        return user;
      }
      root = cause;
    }
    String message = root.getMessage() == null ? root.toString() : root.getMessage();
    return new UserException(
        "the job failed: " + message.lines().findFirst().orElse(root.toString()).strip(), e);
  }
}
