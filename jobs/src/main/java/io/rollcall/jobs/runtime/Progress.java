package io.rollcall.jobs.runtime;

import java.io.PrintStream;
import java.time.Duration;

/** Where a run says what it does and how far it is. */
public final class Progress {
  /** Says nothing. */
  public static final Progress NONE = new Progress(null, false);

  private static final Duration BETWEEN_LINES = Duration.ofSeconds(10);

  private final PrintStream out;
  private final boolean terminal;

  /** @param terminal whether {@code out} is one, where a line can renew itself */
  public Progress(PrintStream out, boolean terminal) {
    this.out = out;
    this.terminal = terminal;
  }

  /** Says how far a run is. */
  public interface Line {
    /** @param seconds since it is shown */
    String of(ProgressBoard.Totals done, double seconds);
  }

  /** Progress that is shown until it is closed. */
  public interface Shown extends AutoCloseable {
    @Override
    void close();
  }

  /** Prints a line. */
  public void say(String line) {
    if (out != null) {
      out.println(line);
    }
  }

  /**
   * Shows how far a run is.
   *
   * @param runId that its tasks report for
   */
  public Shown show(String runId, Line line) {
    return out == null
        ? () -> {}
        : new ProgressPrinter(runId, line, out, terminal, BETWEEN_LINES);
  }

  /**
   * Shows how far a run is.
   *
   * @param prompts of the whole run
   */
  public Shown show(String runId, long prompts) {
    return show(runId, (done, seconds) -> ProgressPrinter.line(done, prompts, seconds));
  }
}
