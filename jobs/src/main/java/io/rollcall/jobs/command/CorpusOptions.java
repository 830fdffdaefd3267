package io.rollcall.jobs.command;

import io.rollcall.jobs.input.PromptSource;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Documents that something is fitted to, with the answers that their decode steps follow. */
final class CorpusOptions {
  @Mixin private InputOptions input;

  @Option(
      names = "--references-column",
      paramLabel = "NAME",
      description = "what each prompt should be answered with; without it the model answers")
  private String references;

  PromptSource source() {
    return input.source();
  }

  /** The column; null where the model answers. */
  String references() {
    return references;
  }
}
