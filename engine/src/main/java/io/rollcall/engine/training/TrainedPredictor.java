package io.rollcall.engine.training;

import io.rollcall.engine.sparsity.Predictor;
import java.io.Serializable;

/**
 * @param initial quality on the held-out positions before the first epoch
 * @param quality after the best, at its precision
 * @param epochs the best one; 0 where none was better than the start
 */
public record TrainedPredictor(
    Predictor predictor, PredictorQuality initial, PredictorQuality quality, int epochs)
    implements Serializable {}
