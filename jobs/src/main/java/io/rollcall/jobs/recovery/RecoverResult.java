package io.rollcall.jobs.recovery;

import io.rollcall.engine.sparsity.SparsityProfile;

/**
 * @param output the profile's file
 * @param tensors the safetensors file beside it
 * @param profile with its corrections
 * @param modelParameters elements of all weights of the model
 */
public record RecoverResult(
    String output, String tensors, SparsityProfile profile, long modelParameters, double seconds) {}
