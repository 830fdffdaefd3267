package io.rollcall.jobs;

import io.rollcall.jobs.command.RollcallCommand;

/** Entry point for spark-submit: {@code --class io.rollcall.jobs.Main rollcall-jobs.jar COMMAND}. */
public final class Main {
  private Main() {}

  public static void main(String[] arguments) {
    int status = RollcallCommand.run(arguments);
    if (status != 0) {
      System.exit(status);
    }
  }
}
