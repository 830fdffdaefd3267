package io.rollcall.jobs.command;

import io.rollcall.engine.UserException;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.generate.SparsityRequest;
import java.util.function.Function;
import java.util.function.Supplier;
import picocli.CommandLine.Option;

/** How decode steps choose the neurons they call. */
final class SparsityOptions {
  @Option(
      names = "--method",
      paramLabel = "METHOD",
      description = "dense, cats, m-countdown, d-countdown-oracle or s-countdown-oracle;"
          + " d-countdown or s-countdown where the model brings a profile with predictors (default:"
          + " the profile's, else m-countdown)")
  private String method;

  @Option(
      names = "--sparsity",
      paramLabel = "S",
      description = "fraction of neurons that a sequence drops (under own those it does not call, under"
          + " shared and budget those nobody in its batch calls); thresholds are calibrated on a"
          + " sample of the input"
          + " (default: the model's own profile, else 0.5)")
  private Double sparsity;

  @Option(
      names = "--profile",
      paramLabel = "FILE",
      description = "thresholds found before; brings its method, sparsity and union;"
          + " builtin:MODEL/FILE for one that ships with a built-in model")
  private String profile;

  @Option(
      names = "--union",
      paramLabel = "UNION",
      description = "own, shared or budget:FRACTION: which rows a batch loads and who uses them"
          + " (default: the profile's, else shared)")
  private String union;

  SparsityRequest request() {
    return new SparsityRequest(
        parse(method, Method::parse), sparsity, profile, parse(union, UnionStrategy::parse));
  }

  private static <T> T parse(String name, Function<String, T> parser) {
    return usage(() -> name == null ? null : parser.apply(name));
  }

  /** Makes a value of options; what is wrong with it is wrong usage. */
  static <T> T usage(Supplier<T> value) {
    try {
      return value.get();
    } catch (UserException e) {
      throw new UsageException(e.getMessage());
    }
  }
}
