package io.rollcall.jobs.command;

import io.rollcall.jobs.runtime.Progress;

/** What the launcher found out about the process's streams; Java cannot tell of stderr alone. */
final class Terminal {
  private Terminal() {}

  /** On stderr, where the line renews itself if that is a terminal. */
  static Progress progress() {
    return new Progress(System.err, Boolean.getBoolean("rollcall.terminal"));
  }
}
