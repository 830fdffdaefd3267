package io.rollcall.jobs.command;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.rollcall.engine.bench.Benchmark;
import io.rollcall.engine.bench.BenchmarkOptions;
import io.rollcall.engine.bench.BenchmarkResult;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.UnionStrategy;
import io.rollcall.jobs.UsageException;
import io.rollcall.jobs.runtime.BackendChoice;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import java.util.List;
import java.util.concurrent.Callable;
import org.apache.hadoop.conf.Configuration;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code rollcall bench}: the engine alone, without a Spark session. */
@Command(
    name = "bench",
    description = "Times prefill and decode of the engine without Spark and prints a JSON line for"
        + " each configuration. Tokens are random, so that every run does the same work; thresholds"
        + " are calibrated on such tokens.",
    footer = {"", "Example: rollcall bench --batch-sizes 1,8,32 --sparsities 0.5,0.7"})
final class BenchCommand implements Callable<Integer> {
  private static final ObjectMapper JSON = new ObjectMapper();

  @Option(
      names = "--model",
      paramLabel = "MODEL",
      description = "a checkpoint directory or builtin:summarizer-20m (default: ${DEFAULT-VALUE})")
  private String model;

  @Option(
      names = "--methods",
      split = ",",
      paramLabel = "METHOD",
      defaultValue = "dense,m-countdown",
      description = "(default: ${DEFAULT-VALUE})")
  private List<String> methods;

  @Option(
      names = "--sparsities",
      split = ",",
      paramLabel = "S",
      defaultValue = "0.7",
      description = "fractions of neurons dropped, of the union under shared and budget (default:"
          + " ${DEFAULT-VALUE})")
  private List<Double> sparsities;

  @Option(
      names = "--unions",
      split = ",",
      paramLabel = "UNION",
      defaultValue = "shared",
      description = "own, shared, budget:FRACTION (default: ${DEFAULT-VALUE})")
  private List<String> unions;

  @Option(
      names = "--batch-sizes",
      split = ",",
      paramLabel = "N",
      defaultValue = "1,8,32",
      description = "sequences in a decode step (default: ${DEFAULT-VALUE})")
  private List<Integer> batchSizes;

  @Option(
      names = "--context",
      paramLabel = "N",
      defaultValue = "256",
      description = "tokens prefilled, and in the cache when decoding begins (default:"
          + " ${DEFAULT-VALUE})")
  private int context;

  @Option(
      names = "--weights",
      split = ",",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = ModelOptions.WEIGHTS)
  private List<String> weights;

  @Option(
      names = "--backend",
      paramLabel = "NAME",
      description = ModelOptions.BACKEND)
  private String backend;

  @Option(
      names = "--workers",
      paramLabel = "N",
      description = "threads (default: the machine's cores)")
  private Integer workers;

  @Override
  public Integer call() {
    BackendChoice choice = BackendChoice.parse(backend);
    BenchmarkOptions options =
        SparsityOptions.usage(
            () ->
                new BenchmarkOptions(
                    methods.stream().map(Method::parse).toList(),
                    sparsities,
                    unions.stream().map(UnionStrategy::parse).toList(),
                    batchSizes,
                    context));
    int threads = threads();
    int printed = 0;
    for (var type : weights.stream().map(name -> ModelOptions.weightType("--weights", name)).toList()) {
      ModelSource source = new ModelSource(model, type, choice);
      try (var lease =
          ModelRegistry.process().acquire(source, List.of(), new Configuration())) {
        printed += new Benchmark(lease.model(), options, threads).run(BenchCommand::print);
      }
      ModelRegistry.process().close(); // the next precision is another copy of the weights
    }
    System.err.println(printed + " configurations measured with " + threads + " threads");
    return 0;
  }

  private int threads() {
    if (workers == null) {
      return Runtime.getRuntime().availableProcessors();
    }
    if (workers < 1) {
      throw new UsageException("--workers " + workers + " is below 1");
    }
    return workers;
  }

  private static void print(BenchmarkResult result) {
    try {
      System.out.println(JSON.writeValueAsString(result));
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
