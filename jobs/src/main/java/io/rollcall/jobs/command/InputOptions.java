package io.rollcall.jobs.command;

import io.rollcall.jobs.input.PromptSource;
import java.util.List;
import picocli.CommandLine.Option;

/** Where the prompts are; the same in every command that reads some. */
final class InputOptions {
  @Option(
      names = "--input",
      required = true,
      paramLabel = "PATH",
      description = "prompts: Parquet, or JSON lines (.json, .jsonl, also compressed); a file,"
          + " directory or glob on any Hadoop file system")
  private String input;

  @Option(
      names = "--id-column",
      paramLabel = "NAME",
      description = "names each prompt, taken as text (default: ${DEFAULT-VALUE})")
  private String id;

  @Option(
      names = "--prompt-column",
      paramLabel = "NAME",
      description = "the prompt's text (default: ${DEFAULT-VALUE})")
  private String prompt;

  @Option(
      names = "--limit",
      paramLabel = "N",
      description = "answer at most N prompts, the same ones each time; 0 for all")
  private long limit;

  PromptSource source() {
    return source(List.of());
  }

  PromptSource source(List<String> keepColumns) {
    return new PromptSource(input, id, prompt, keepColumns, limit);
  }
}
