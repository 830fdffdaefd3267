package io.rollcall.jobs.command;

import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.runtime.BackendChoice;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.kernels.WeightType;
import picocli.CommandLine.Option;

/** Which model, how its weights are held, and what computes; the same in every command. */
final class ModelOptions {
  static final String WEIGHTS =
      "bf16 (as stored), int8 or int4 (quantised when loaded) (default: ${DEFAULT-VALUE})";
  static final String BACKEND =
      "auto (a CUDA device where there is one, else the CPU), cpu or cuda (default:"
          + " ${DEFAULT-VALUE})";

  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description = "a Hugging Face checkpoint directory on any Hadoop file system, or"
          + " builtin:summarizer-20m (default: ${DEFAULT-VALUE})")
  private String model;

  @Option(
      names = "--weights",
      paramLabel = "TYPE",
      description = WEIGHTS)
  private String weights;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description = BACKEND)
  private String backend;

  ModelSource source() {
    return new ModelSource(model, weightType("--weights", weights), BackendChoice.parse(backend));
  }

  /** @param option for the message */
  static WeightType weightType(String option, String name) {
    return switch (name) {
      case "bf16" -> WeightType.BF16;
      case "int8" -> WeightType.INT8;
      case "int4" -> WeightType.INT4;
      default ->
          throw new UsageException("unknown " + option + " '" + name + "'; use bf16, int8 or int4");
    };
  }
}
