package io.rollcall.jobs.command;

import io.rollcall.jobs.generate.Decoding;
import picocli.CommandLine.Option;

/** How prompts become batches that are answered; what the commands share that decode. */
final class AnswerOptions {
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
          + " cache holds batch size x context, on a device what fits of that (default: ${DEFAULT-VALUE})")
  private int context;

  Decoding greedy(long seed) {
    return decoding(0, 1, seed);
  }

  Decoding decoding(double temperature, double topP, long seed) {
    return new Decoding(batchSize, maxNewTokens, context, temperature, topP, seed, template);
  }
}
