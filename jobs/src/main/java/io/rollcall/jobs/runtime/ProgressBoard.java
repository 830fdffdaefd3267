package io.rollcall.jobs.runtime;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The driver's view of its runs: the latest word of each partition's task. A retried task starts over
 * and its partition with it.
 */
public final class ProgressBoard {
  private static final ProgressBoard PROCESS = new ProgressBoard();

  private final Map<String, Map<Integer, TaskProgress>> runs = new ConcurrentHashMap<>();

  /** The board of this driver process. */
  public static ProgressBoard process() {
    return PROCESS;
  }

  /** What a run has done, all partitions summed; union density weighted by tokens. */
  public record Totals(long prompts, long tokens, double unionDensity) {}

  /** Takes the words of a run's tasks from now on. */
  public void open(String runId) {
    runs.put(runId, new ConcurrentHashMap<>());
  }

  /** Forgets a run. */
  public void close(String runId) {
    runs.remove(runId);
  }

  /** Takes a task's word; ignored where the run is over. */
  public void report(TaskProgress progress) {
    Map<Integer, TaskProgress> run = runs.get(progress.runId());
    if (run != null) {
      run.put(progress.partition(), progress);
    }
  }

  /** What an open run has done; nothing of another. */
  public Totals totals(String runId) {
    long prompts = 0;
    long tokens = 0;
    double density = 0;
    double weight = 0;
    for (TaskProgress task : runs.getOrDefault(runId, Map.of()).values()) {
      prompts += task.prompts();
      tokens += task.tokens();
      if (!Double.isNaN(task.unionDensity())) {
        density += task.unionDensity() * task.tokens();
        weight += task.tokens();
      }
    }
    return new Totals(prompts, tokens, weight == 0 ? Double.NaN : density / weight);
  }
}
