package io.rollcall.jobs.command;

import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.kernels.WeightType;
import picocli.CommandLine.Option;

/** Which model, how its weights are held, and what computes; the same in every command. */
final class ModelOptions {
  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description = "a Hugging Face checkpoint directory on any Hadoop file system, or"
          + " builtin:summarizer-20m (default: ${DEFAULT-VALUE})")
  private String model;

  @Option(
      names = "--weights",
      paramLabel = "TYPE",
      description = "bf16 (as stored), int8 or int4 (default: ${DEFAULT-VALUE})")
  private String weights;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description = "auto or cpu (default: ${DEFAULT-VALUE})")
  private String backend;

  ModelSource source() {
    requireBackend(backend);
    return new ModelSource(model, weightType(weights));
  }

  static WeightType weightType(String name) {
    return switch (name) {
      case "bf16" -> WeightType.BF16;
      case "int8" -> WeightType.INT8;
      case "int4" -> WeightType.INT4;
      default ->
          throw new UsageException("unknown --weights '" + name + "'; use bf16, int8 or int4");
    };
  }

  static void requireBackend(String name) {
    switch (name) {
      case "auto", "cpu" -> {}
      case "cuda" ->
          throw new UsageException(
              "--backend cuda is not in this version, which has only the CPU; use auto or cpu");
      default -> throw new UsageException("unknown --backend '" + name + "'; use auto or cpu");
    }
  }
}
