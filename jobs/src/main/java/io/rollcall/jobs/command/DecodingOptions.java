package io.rollcall.jobs.command;

import io.rollcall.jobs.generate.Decoding;
import picocli.CommandLine.Option;

/** How answers are decoded. */
final class DecodingOptions {
  @Option(
      names = "--template",
      paramLabel = "NAME",
      description = "raw, summarize, chat or a Jinja file over {{ prompt }} (default: the model's"
          + " own)")
  private String template;

  @Option(
      names = "--batch-size",
      paramLabel = "N",
      description = "sequences decoded together by one task (default: ${DEFAULT-VALUE})")
  private int batchSize;

  @Option(
      names = "--max-new-tokens",
      paramLabel = "N",
      description = "most tokens of an answer (default: ${DEFAULT-VALUE})")
  private int maxNewTokens;

  @Option(
      names = "--context",
      paramLabel = "N",
      description = "most positions of a prompt and its answer, if the model has as many; a task's"
          + " cache holds batch size x context (default: ${DEFAULT-VALUE})")
  private int context;

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
    return new Decoding(batchSize, maxNewTokens, context, temperature, topP, seed, template);
  }
}
