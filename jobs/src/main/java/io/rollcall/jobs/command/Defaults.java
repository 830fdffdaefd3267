package io.rollcall.jobs.command;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import picocli.CommandLine.IDefaultValueProvider;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * Takes an option's default from conf/reference.conf, {@code rollcall.COMMAND.OPTION} or else {@code
 * rollcall.OPTION}.
 */
final class Defaults implements IDefaultValueProvider {
  private final Config config =
      ConfigFactory.defaultOverrides()
          .withFallback(ConfigFactory.parseResources("io/rollcall/jobs/reference.conf"))
          .resolve();

  @Override
  public String defaultValue(ArgSpec argument) {
    // null lets an option's own default stand
    if (!(argument instanceof OptionSpec option) || argument.defaultValue() != null) {
      return null;
    }
    String name = option.longestName().replaceFirst("^--", "");
    String ofCommand = "rollcall." + option.command().name() + "." + name;
    String path = config.hasPath(ofCommand) ? ofCommand : "rollcall." + name;
    return config.hasPath(path) ? config.getString(path) : null;
  }
}
