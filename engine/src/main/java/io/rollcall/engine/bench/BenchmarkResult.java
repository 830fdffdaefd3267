package io.rollcall.engine.bench;

import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.annotation.JsonNaming;

/**
 * One configuration's speed. Field names in JSON are snake case.
 *
 * @param sparsity wanted; 0 for dense
 * @param device what computed
 * @param prefillTokensPerS of batchSize prompts of context tokens, always dense
 * @param decodeTokensPerS from the median step
 * @param ownDensity mean over steps and layers
 * @param denseStepShare of layers and steps past the crossover
 * @param bytesReadPerStep feed-forward weights of all layers, by the method's formula
 */
@JsonNaming(PropertyNamingStrategies.SnakeCaseStrategy.class)
public record BenchmarkResult(
    String method,
    double sparsity,
    String union,
    int batchSize,
    int context,
    String weights,
    String backend,
    String device,
    int workers,
    double prefillTokensPerS,
    double decodeTokensPerS,
    double ownDensity,
    double unionDensity,
    double denseStepShare,
    long bytesReadPerStep,
    long bytesDensePerStep) {}
