package io.rollcall.jobs.generate;

import io.rollcall.engine.sparsity.SparsityPlan;

/**
 * What a generate run did.
 *
 * @param output where the tables are
 * @param plan the thresholds and crossover it ran with; null when there was nothing to do
 * @param skipped prompts whose ids the output already had
 * @param warning null, or what the user should know
 */
public record GenerateResult(
    String runId,
    String output,
    SparsityPlan plan,
    RunTotals totals,
    long skipped,
    double wallSeconds,
    String warning) {}
