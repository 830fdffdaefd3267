package io.rollcall.jobs.command;

import io.rollcall.engine.UserException;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.Version;
import java.io.PrintWriter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;
import picocli.CommandLine.Spec;

/** The command line: parses, runs, and turns every failure into one line and a status. */
@Command(
    name = "rollcall",
    description = "Offline LLM generation on Apache Spark with contextually sparse feed-forward"
        + " layers.",
    synopsisSubcommandLabel = "COMMAND",
    versionProvider = RollcallCommand.VersionLine.class,
    subcommands = {
      DemoCommand.class,
      GenerateCommand.class,
      CalibrateCommand.class,
      TrainPredictorCommand.class,
      RecoverCommand.class,
      EvaluateCommand.class,
      ReportCommand.class,
      BenchCommand.class
    },
    footer = {"", "Options after a lone -- are spark-submit's (with jobs/bin/rollcall)."})
public final class RollcallCommand implements Runnable {
  private static final Logger LOG = LoggerFactory.getLogger(RollcallCommand.class);
  private static final int FAILURE = 1;
  private static final int USAGE = 2;

  @Spec private CommandSpec spec;

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      scope = ScopeType.INHERIT,
      description = "print this help")
  private boolean help;

  @Option(
      names = "--verbose",
      scope = ScopeType.INHERIT,
      description = "print the stack trace of a failure")
  private boolean verbose;

  @Option(names = "--version", versionHelp = true, description = "print the version")
  private boolean version;

  /** @return the exit status: 0, 1 for a failure, 2 for wrong usage */
  public static int run(String... arguments) {
    RollcallCommand root = new RollcallCommand();
    CommandLine line = new CommandLine(root).setDefaultValueProvider(new Defaults());
    line.setParameterExceptionHandler((e, ignored) -> usage(e.getCommandLine(), e.getMessage()));
    line.setExecutionExceptionHandler((e, command, parsed) -> root.failure(e, command));
    for (CommandLine command : line.getSubcommands().values()) {
      command.getCommandSpec().usageMessage().sortOptions(false).width(100).abbreviateSynopsis(true);
    }
    line.getCommandSpec().usageMessage().width(100);
    return line.execute(arguments);
  }

  /** No command was named. */
  @Override
  public void run() {
    throw new CommandLine.ParameterException(spec.commandLine(), "no command given");
  }

  private static int usage(CommandLine command, String message) {
    String name = command.getCommandSpec().qualifiedName();
    print(command.getErr(), name + ": " + message + " (" + name + " --help lists the options)");
    return USAGE;
  }

  private int failure(Exception e, CommandLine command) {
    String name = command.getCommandSpec().qualifiedName();
    if (verbose) {
      e.printStackTrace(command.getErr());
    }
    LOG.info("{} failed", name, e);
    if (e instanceof UsageException) {
      return usage(command, e.getMessage());
    }
    String message = e instanceof UserException ? e.getMessage() : e.toString();
    String log = System.getProperty("rollcall.log");
    String more =
        e instanceof UserException && e.getCause() == null
            ? ""
            : log == null ? "; --verbose shows where" : "; the log is " + log;
    print(command.getErr(), name + ": " + message.replaceAll("\\s*\\R\\s*", " ") + more);
    return FAILURE;
  }

  private static void print(PrintWriter out, String line) {
    out.println(line);
    out.flush();
  }

  static final class VersionLine implements IVersionProvider {
    @Override
    public String[] getVersion() {
      return new String[] {"rollcall " + Version.current()};
    }
  }
}
