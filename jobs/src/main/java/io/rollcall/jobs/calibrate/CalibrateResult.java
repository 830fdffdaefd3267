package io.rollcall.jobs.calibrate;

import io.rollcall.engine.sparsity.SparsityProfile;

/** @param output the profile's file */
public record CalibrateResult(String output, SparsityProfile profile, double seconds) {}
