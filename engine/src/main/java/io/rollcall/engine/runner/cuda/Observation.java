package io.rollcall.engine.runner.cuda;

import io.rollcall.engine.runner.ScoreObserver;
import io.rollcall.engine.sparsity.Method;

/** Scores to be shown while the steps themselves run dense. */
record Observation(Method method, ScoreObserver observer) {}
