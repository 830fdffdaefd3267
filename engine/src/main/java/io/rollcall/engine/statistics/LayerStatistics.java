package io.rollcall.engine.statistics;

/**
 * What the decode steps of one layer at one batch size read and saved.
 *
 * @param batchSize sequences in the step
 * @param sequences sum of batchSize over steps
 * @param ownDensity mean over sequences of the fraction of neurons called
 * @param unionDensity mean over steps of the fraction of neurons in the union, after a budget's trim and
 *     before the crossover
 * @param unionHistogram steps by union density, 20 equal bins of [0, 1]
 * @param denseSteps steps that ran dense because the union was past the crossover
 * @param bytesRead feed-forward weight bytes by the method's formula
 * @param bytesDense what dense would have read at the same precision
 */
public record LayerStatistics(
    int layer,
    int batchSize,
    long steps,
    long sequences,
    double ownDensity,
    double unionDensity,
    long[] unionHistogram,
    long denseSteps,
    long bytesRead,
    long bytesDense) {}
