package io.rollcall.jobs.runtime;

import java.io.PrintStream;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * Shows a run's progress while it is open: on a terminal one line that renews itself, else a line
 * every while.
 */
final class ProgressPrinter implements Progress.Shown {
  private static final int WIDTH = 99;

  private final String runId;
  private final Progress.Line line;
  private final PrintStream out;
  private final boolean terminal;
  private final long started = System.nanoTime();
  private final ScheduledExecutorService timer;

  /**
   * @param terminal whether {@code out} is one
   * @param every between lines where it is not
   */
  ProgressPrinter(
      String runId, Progress.Line line, PrintStream out, boolean terminal, Duration every) {
    this.runId = runId;
    this.line = line;
    this.out = out;
    this.terminal = terminal;
    ProgressBoard.process().open(runId);
    timer =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, "rollcall-progress");
              thread.setDaemon(true);
              return thread;
            });
    long period = terminal ? 500 : every.toMillis();
    timer.scheduleAtFixedRate(this::print, period, period, TimeUnit.MILLISECONDS);
  }

  private void print() {
    String text =
        line.of(ProgressBoard.process().totals(runId), (System.nanoTime() - started) / 1e9);
    if (terminal) {
      out.print("\r" + pad(text));
      out.flush();
    } else {
      out.println(text);
    }
  }

  /** @param total prompts of the run */
  static String line(ProgressBoard.Totals done, long total, double seconds) {
    StringBuilder line = new StringBuilder();
    line.append(
        String.format(
            Locale.ROOT,
            "%,d of %,d prompts, %,d tokens, %,.0f tokens/s",
            done.prompts(),
            total,
            done.tokens(),
            done.tokens() / seconds));
    if (done.prompts() > 0 && done.prompts() < total) {
      double left = seconds * (total - done.prompts()) / done.prompts();
      line.append(", ").append(duration(left)).append(" left");
    }
    if (!Double.isNaN(done.unionDensity())) {
      line.append(String.format(Locale.ROOT, ", union density %.2f", done.unionDensity()));
    }
    return line.toString();
  }

  private static String duration(double seconds) {
    long s = Math.round(seconds);
    return s < 3600
        ? String.format(Locale.ROOT, "%d:%02d", s / 60, s % 60)
        : String.format(Locale.ROOT, "%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
  }

  private static String pad(String line) {
    return line.length() >= WIDTH ? line.substring(0, WIDTH) : line + " ".repeat(WIDTH - line.length());
  }

  @Override
  public void close() {
    timer.shutdownNow();
    if (terminal) {
      out.print("\r" + " ".repeat(WIDTH) + "\r");
      out.flush();
    }
    ProgressBoard.process().close(runId);
  }
}
