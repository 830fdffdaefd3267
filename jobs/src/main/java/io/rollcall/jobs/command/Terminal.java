package io.rollcall.jobs.command;

/** What the launcher found out about the process's streams; Java cannot tell of stderr alone. */
final class Terminal {
  private Terminal() {}

  /** Whether stderr is a terminal, where progress can renew its line. */
  static boolean stderr() {
    return Boolean.getBoolean("rollcall.terminal");
  }
}
