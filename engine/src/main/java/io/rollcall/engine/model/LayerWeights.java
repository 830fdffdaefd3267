package io.rollcall.engine.model;

import io.rollcall.kernels.WeightMatrix;

/**
 * One transformer layer's weights.
 *
 * @param attentionNorm [d]
 * @param query [heads*headSize x d]
 * @param key [kvHeads*headSize x d]
 * @param value [kvHeads*headSize x d]
 * @param output [d x heads*headSize]
 * @param feedForwardNorm [d]
 * @param gate [f x d]
 * @param up [f x d]
 * @param down [f x d], the transposed down projection: one contiguous row a neuron
 * @param downNorms [f], Euclidean norms of down's rows, for s-countdown and neuron scales
 */
public record LayerWeights(
    float[] attentionNorm,
    WeightMatrix query,
    WeightMatrix key,
    WeightMatrix value,
    WeightMatrix output,
    float[] feedForwardNorm,
    WeightMatrix gate,
    WeightMatrix up,
    WeightMatrix down,
    float[] downNorms) {}
