package io.rollcall.engine.model;

import io.rollcall.kernels.WeightMatrix;
import java.util.List;

/**
 * All weights of a model.
 *
 * @param embedding [vocabulary x d]
 * @param norm [d], before the head
 * @param head [vocabulary x d]; the embedding itself where they are tied
 */
public record ModelWeights(
    WeightMatrix embedding, List<LayerWeights> layers, float[] norm, WeightMatrix head) {}
