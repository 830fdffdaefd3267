package io.rollcall.jobs.generate;

import io.rollcall.engine.sparsity.SparsityProfile;

/**
 * What a generate run did.
 *
 * @param output where the tables are
 * @param profile the thresholds it ran with; the crossovers are with the totals' devices
 * @param skipped prompts whose ids the output already had
 * @param warning null, or what the user should know
 */
public record GenerateResult(
    String runId,
    String output,
    SparsityProfile profile,
    RunTotals totals,
    long skipped,
    double wallSeconds,
    String warning) {}
