package io.rollcall.engine.training;

import java.io.Serializable;

/**
 * How well the neurons with the highest logits are those that matter, all positions together.
 *
 * @param recall fraction of the oracle's neurons that are predicted
 * @param precision fraction of the predicted neurons that are the oracle's
 * @param energy fraction of the squared scores that the predicted neurons have
 */
public record PredictorQuality(double recall, double precision, double energy)
    implements Serializable {}
