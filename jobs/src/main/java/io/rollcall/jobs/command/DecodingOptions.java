package io.rollcall.jobs.command;

import io.rollcall.jobs.generate.Decoding;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** How answers are decoded. */
final class DecodingOptions {
  @Mixin private AnswerOptions answers;

  @Option(
      names = "--temperature",
      paramLabel = "T",
      description = "0 takes the likeliest token, above 0 samples (default: ${DEFAULT-VALUE})")
  private double temperature;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      description = "sample from the likeliest tokens that hold P of the probability (default:"
          + " ${DEFAULT-VALUE})")
  private double topP;

  @Option(
      names = "--seed",
      paramLabel = "N",
      description = "of the random stream that each id has of its own (default: ${DEFAULT-VALUE})")
  private long seed;

  Decoding decoding() {
    return answers.decoding(temperature, topP, seed);
  }
}
