package io.rollcall.jobs.runtime;

import java.io.Serializable;

/**
 * What one task of a run has done so far.
 *
 * @param prompts done, or whatever else the run counts
 * @param tokens prompt tokens prefilled and tokens generated
 * @param unionDensity mean so far; NaN before the first decode step
 */
public record TaskProgress(
    String runId, int partition, long prompts, long tokens, double unionDensity)
    implements Serializable {

  /** Of a task that counts and no more. */
  public TaskProgress(String runId, int partition, long done) {
    this(runId, partition, done, 0, Double.NaN);
  }
}
