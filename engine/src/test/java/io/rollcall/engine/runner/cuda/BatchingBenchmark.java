package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.checkpoint.ModelFiles;
import io.rollcall.engine.generation.Generation;
import io.rollcall.engine.generation.GenerationOptions;
import io.rollcall.engine.generation.Generator;
import io.rollcall.engine.generation.PhaseTimes;
import io.rollcall.engine.generation.Prompt;
import io.rollcall.engine.runner.ModelRunner;
import io.rollcall.engine.runner.RunnerOptions;
import io.rollcall.engine.sparsity.SparsityPlan;
import io.rollcall.engine.text.PromptTemplate;
import io.rollcall.kernels.WeightType;
import io.rollcall.kernels.cuda.CudaDevice;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Random;

/**
 * Continuous batching of a model of the Llama-3.1-8B shape with random weights, dense: prompts that are
 * prefilled in groups, as the generator does, beside the same prompts prefilled as soon as a slot is free,
 * in turns; medians. Lengths are spread evenly, of prompts from the least to as much longer as the longest
 * answer, of answers from one token to the longest.
 *
 * <p>Prints a JSON line a configuration. {@code bin/gpu-check --only batching} runs it; arguments: {@code
 * [weights=bf16,int8,int4] [batch=64] [lengths=100+60,500+120] [prompts=320] [rounds=1]}, lengths the least
 * prompt and the longest answer.
 */
public final class BatchingBenchmark {
  private final DeviceModel model;
  private final int batch;
  private final int least;
  private final int longestAnswer;
  private final List<Prompt> prompts = new ArrayList<>();

  private record Round(double seconds, long tokens, PhaseTimes times) {
    double tokensPerSecond() {
      return tokens / seconds;
    }
  }

  private BatchingBenchmark(DeviceModel model, int batch, String lengths, int prompts) {
    this.model = model;
    this.batch = batch;
    least = Integer.parseInt(lengths.split("\\+")[0]);
    longestAnswer = Integer.parseInt(lengths.split("\\+")[1]);
    Random random = new Random(3);
    for (int i = 0; i < prompts; i++) {
      // a token each, and one at the beginning
      int words = least - 1 + random.nextInt(longestAnswer);
      this.prompts.add(new Prompt("prompt " + i, " the".repeat(words)));
    }
  }

  public static void main(String[] arguments) {
    int batch = Integer.parseInt(argument(arguments, "batch", "64"));
    int prompts = Integer.parseInt(argument(arguments, "prompts", "320"));
    int rounds = Integer.parseInt(argument(arguments, "rounds", "1"));
    CudaDevice device = CudaDevice.all().get(0);
    for (String weights : argument(arguments, "weights", "bf16,int8,int4").split(",")) {
      WeightType type = WeightType.valueOf(weights.toUpperCase(Locale.ROOT));
      try (DeviceModel model =
          RandomDeviceModel.create(
              "llama-3.1-8b-shape", RandomDeviceModel.llama8b(), type, device, 1)) {
        for (String lengths : argument(arguments, "lengths", "100+60,500+120").split(",")) {
          new BatchingBenchmark(model, batch, lengths, prompts).run(rounds);
        }
      }
    }
  }

  private static String argument(String[] arguments, String name, String otherwise) {
    return Arrays.stream(arguments)
        .filter(argument -> argument.startsWith(name + "="))
        .reduce((first, last) -> last)
        .map(argument -> argument.substring(name.length() + 1))
        .orElse(otherwise);
  }

  private void run(int rounds) {
    List<Round> grouped = new ArrayList<>();
    List<Round> atOnce = new ArrayList<>();
    round(true, prompts.subList(0, Math.min(prompts.size(), 2 * batch)));
    for (int i = 0; i < rounds; i++) {
      grouped.add(round(true, prompts));
      atOnce.add(round(false, prompts));
    }
    Round ours = median(grouped);
    Round other = median(atOnce);
    System.out.printf(
        Locale.ROOT,
        "{\"part\": \"batching\", \"device\": \"%s\", \"weights\": \"%s\", \"batch_size\": %d,"
            + " \"prompts\": %d, \"lengths\": \"%d+%d\", \"tokens_per_s\": %.0f, \"prefill_seconds\":"
            + " %.2f, \"decode_seconds\": %.2f, \"at_once_tokens_per_s\": %.0f,"
            + " \"at_once_prefill_seconds\": %.2f, \"at_once_decode_seconds\": %.2f, \"ratio\": %.3f}%n",
        model.device().name(),
        model.weightType().name().toLowerCase(Locale.ROOT),
        batch,
        prompts.size(),
        least,
        longestAnswer,
        ours.tokensPerSecond(),
        ours.times().prefillNanos() / 1e9,
        ours.times().decodeNanos() / 1e9,
        other.tokensPerSecond(),
        other.times().prefillNanos() / 1e9,
        other.times().decodeNanos() / 1e9,
        ours.tokensPerSecond() / other.tokensPerSecond());
  }

  private static Round median(List<Round> rounds) {
    return rounds.stream()
        .sorted((a, b) -> Double.compare(a.seconds(), b.seconds()))
        .toList()
        .get(rounds.size() / 2);
  }

  private Round round(boolean grouped, List<Prompt> prompts) {
    // an answer ends with the context, so that the longest prompts have the shortest ones
    var options = GenerationOptions.greedy(batch, longestAnswer, least + longestAnswer);
    var files = ModelFiles.locate("builtin:summarizer-20m");
    PromptTemplate template = PromptTemplate.of("raw", files, model.tokenizer());
    ModelRunner runner =
        model.runner(
            SparsityPlan.dense(model.digest()),
            RunnerOptions.greedy(batch, options.context(), 1));
    long tokens = 0;
    long start = System.nanoTime();
    try (Generator generator =
        new Generator(
            model, template, options, prompts.iterator(), grouped ? runner : atOnce(runner))) {
      while (generator.hasNext()) {
        Generation generation = generator.next();
        tokens += generation.promptTokens() + generation.outputTokens();
      }
      return new Round((System.nanoTime() - start) / 1e9, tokens, generator.times());
    }
  }

  /** The same runner, said to have no use for groups. */
  private static ModelRunner atOnce(ModelRunner runner) {
    return (ModelRunner)
        Proxy.newProxyInstance(
            ModelRunner.class.getClassLoader(),
            new Class<?>[] {ModelRunner.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("passOverhead")) {
                return 0.0;
              }
              try {
                return method.invoke(runner, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }
}
