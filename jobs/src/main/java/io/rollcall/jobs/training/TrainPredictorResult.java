package io.rollcall.jobs.training;

import io.rollcall.engine.sparsity.SparsityProfile;
import java.util.List;

/**
 * @param output the profile's file
 * @param predictor the safetensors file beside it
 * @param layers in order
 */
public record TrainPredictorResult(
    String output,
    String predictor,
    SparsityProfile profile,
    List<TrainedLayer> layers,
    double seconds) {}
