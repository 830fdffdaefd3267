package io.rollcall.jobs.bench;

import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.sparsity.Method;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.jobs.generate.Decoding;
import io.rollcall.jobs.generate.GenerateAction;
import io.rollcall.jobs.generate.GenerateRequest;
import io.rollcall.jobs.generate.GenerateResult;
import io.rollcall.jobs.generate.SparsityRequest;
import io.rollcall.jobs.input.PromptSource;
import io.rollcall.jobs.output.WriteMode;
import io.rollcall.jobs.runtime.BackendChoice;
import io.rollcall.jobs.runtime.ModelRegistry;
import io.rollcall.jobs.runtime.ModelSource;
import io.rollcall.jobs.runtime.RollcallPlugin;
import io.rollcall.kernels.WeightType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;
import java.util.stream.IntStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerTaskEnd;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * The Spark job beside the engine alone: the same prompts, in the same order and batches, on the same
 * device in the same process, taking turns. Medians of the rounds; a ratio is of the two of one round,
 * and its least and greatest are told. Prompts are Spark's own configuration reference, numbered copies
 * of it. Tokens are those prefilled and generated; the job's time is its tasks' (reading, tokenizing,
 * inference, writing), and its wall time is told beside it.
 *
 * <p>Prints a JSON line a method. {@code bin/gpu-check --only generate} runs it; arguments: {@code
 * [prompts=8000] [batch=64] [rounds=7] [backend=cuda] [methods=dense,m-countdown] [tokens=40]}.
 */
public final class JobBenchmark {
  private final SparkSession spark;
  private final ModelSource model;
  private final Decoding decoding;
  private final int rounds;
  private final Path folder;
  private final String input;
  private final TaskTimes times = new TaskTimes();

  /** Milliseconds that tasks ran. */
  private static final class TaskTimes extends SparkListener {
    private long all;
    private long shuffled;

    @Override
    public synchronized void onTaskEnd(SparkListenerTaskEnd end) {
      all += end.taskMetrics().executorRunTime();
      if (end.taskMetrics().shuffleWriteMetrics().recordsWritten() > 0) {
        shuffled += end.taskMetrics().executorRunTime();
      }
    }

    /** Those of all tasks, and of those that spread the prompts. */
    synchronized long[] take() {
      long[] taken = {all, shuffled};
      all = 0;
      shuffled = 0;
      return taken;
    }
  }

  /**
   * Tokens prefilled and generated, and the seconds they took.
   *
   * @param spreadSeconds of these, those of the tasks that read the prompts and spread them
   */
  private record Round(long tokens, double seconds, double spreadSeconds, double wallSeconds) {
    double tokensPerSecond() {
      return tokens / seconds;
    }
  }

  private JobBenchmark(
      SparkSession spark, ModelSource model, Decoding decoding, int rounds, int prompts)
      throws Exception {
    this.spark = spark;
    this.model = model;
    this.decoding = decoding;
    this.rounds = rounds;
    folder = Files.createTempDirectory("job-benchmark");
    input = folder.resolve("prompts").toString();
    spark
        .sql("SET -v")
        .selectExpr("key", "trim(regexp_replace(meaning, '\\\\s+', ' ')) AS text")
        .filter("length(text) >= 40")
        .dropDuplicates("key")
        .crossJoin(spark.range(1 + prompts / 100).toDF("copy"))
        .selectExpr("concat(key, '/', copy) AS id", "concat(text, ' (', copy, ')') AS prompt")
        .orderBy("id")
        .limit(prompts)
        .coalesce(1)
        .write()
        .parquet(input);
    spark.sparkContext().addSparkListener(times);
  }

  public static void main(String[] arguments) throws Exception {
    int prompts = Integer.parseInt(argument(arguments, "prompts", "8000"));
    int batch = Integer.parseInt(argument(arguments, "batch", "64"));
    int tokens = Integer.parseInt(argument(arguments, "tokens", "40"));
    int rounds = Integer.parseInt(argument(arguments, "rounds", "7"));
    BackendChoice backend = BackendChoice.parse(argument(arguments, "backend", "cuda"));
    try (SparkSession spark =
        SparkSession.builder()
            // one task at a time on the device, as spark-gpu.conf has it
            .master("local[1]")
            .appName("job benchmark")
            .config("spark.ui.enabled", "false")
            .config("spark.log.level", "WARN")
            .config("spark.sql.shuffle.partitions", "1")
            .config("spark.plugins", RollcallPlugin.class.getName())
            .getOrCreate()) {
      JobBenchmark benchmark =
          new JobBenchmark(
              spark,
              new ModelSource("builtin:summarizer-20m", WeightType.BF16, backend),
              new Decoding(batch, tokens, 1024, 0, 1, 0, null),
              rounds,
              prompts);
      for (String method : argument(arguments, "methods", "dense,m-countdown").split(",")) {
        benchmark.run(method, new SparsityRequest(Method.parse(method), null, null, null));
      }
    }
  }

  private static String argument(String[] arguments, String name, String otherwise) {
    String value = otherwise;
    for (String argument : arguments) {
      if (argument.startsWith(name + "=")) {
        value = argument.substring(name.length() + 1);
      }
    }
    return value;
  }

  private void run(String method, SparsityRequest sparsity) throws Exception {
    // the first job warms both up and says which thresholds they share
    GenerateResult first = job(method + "-warm-up", sparsity).result();
    List<Prompt> prompts = prompts();
    List<Round> jobs = new ArrayList<>();
    List<Round> engines = new ArrayList<>();
    for (int round = 0; round < rounds; round++) {
      jobs.add(job(method + "-" + round, sparsity).round());
      engines.add(engine(first, prompts));
    }
    double[] ratios =
        IntStream.range(0, rounds)
            .mapToDouble(i -> jobs.get(i).tokensPerSecond() / engines.get(i).tokensPerSecond())
            .sorted()
            .toArray();
    System.out.printf(
        Locale.ROOT,
        "{\"part\": \"generate\", \"method\": \"%s\", \"device\": \"%s\", \"prompts\": %d,"
            + " \"batch_size\": %d, \"rounds\": %d, \"tokens\": %d, \"tokens_per_s\": %.0f,"
            + " \"engine_tokens_per_s\": %.0f, \"ratio\": %.3f, \"least_ratio\": %.3f,"
            + " \"greatest_ratio\": %.3f, \"job_tokens_per_wall_s\": %.0f, \"seconds\": %.2f,"
            + " \"spread_seconds\": %.2f, \"error_rows\": %d, \"union_density\": %s}%n",
        method,
        first.totals().devices().get(0).name(),
        prompts.size(),
        decoding.batchSize(),
        rounds,
        jobs.get(0).tokens(),
        median(jobs, Round::tokensPerSecond),
        median(engines, Round::tokensPerSecond),
        ratios[rounds / 2],
        ratios[0],
        ratios[rounds - 1],
        median(jobs, job -> job.tokens() / job.wallSeconds()),
        median(jobs, Round::seconds),
        median(jobs, Round::spreadSeconds),
        first.totals().errorRows(),
        Double.isNaN(first.totals().unionDensity())
            ? "null"
            : String.format(Locale.ROOT, "%.3f", first.totals().unionDensity()));
  }

  /** The upper one of two. */
  private static double median(List<Round> rounds, ToDoubleFunction<Round> of) {
    return rounds.stream().mapToDouble(of).sorted().toArray()[rounds.size() / 2];
  }

  private record Job(GenerateResult result, Round round) {}

  private Job job(String name, SparsityRequest sparsity) throws Exception {
    GenerateRequest request =
        new GenerateRequest(
            PromptSource.of(input),
            folder.resolve(name).toString(),
            WriteMode.ERROR,
            model,
            sparsity,
            decoding,
            0);
    spark.sparkContext().listenerBus().waitUntilEmpty();
    times.take();
    long start = System.nanoTime();
    GenerateResult result = new GenerateAction(spark, request).execute();
    double wall = (System.nanoTime() - start) / 1e9;
    spark.sparkContext().listenerBus().waitUntilEmpty();
    long[] millis = times.take();
    return new Job(
        result,
        new Round(
            result.totals().promptTokens() + result.totals().outputTokens(),
            millis[0] / 1e3,
            millis[1] / 1e3,
            wall));
  }

  /** In the order of the job's tasks, whose prompts are sorted by id within each. */
  private List<Prompt> prompts() {
    List<Prompt> prompts = new ArrayList<>();
    for (Row row : spark.read().parquet(input).orderBy("id").collectAsList()) {
      prompts.add(new Prompt(row.getString(0), row.getString(1)));
    }
    return prompts;
  }

  private Round engine(GenerateResult like, List<Prompt> prompts) {
    try (ModelRegistry.Lease lease =
        ModelRegistry.process().acquire(model, List.of(), new Configuration())) {
      SparsityPlan plan =
          new SparsityPlan(
              like.profile(), lease.crossover(like.profile(), decoding.batchSize(), 1));
      long[] tokens = {0};
      long start = System.nanoTime();
      try (Generator generator =
          new Generator(
              lease.model(),
              plan,
              lease.model().template(),
              decoding.options(lease.model().config()),
              1,
              prompts.iterator())) {
        generator.forEachRemaining(
            answer -> tokens[0] += answer.promptTokens() + answer.outputTokens());
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      return new Round(tokens[0], seconds, 0, seconds);
    }
  }
}
