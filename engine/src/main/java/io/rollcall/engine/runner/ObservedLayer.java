package io.rollcall.engine.runner;

import java.util.function.Consumer;

/**
 * One feed-forward layer of a decode step; arrays are the runner's, and may be longer than they say.
 *
 * @param index of the layer
 * @param batch sequences in the step
 * @param input [batch x d] x
 * @param residual [batch x d] the stream that the output will be added to
 * @param output [batch x d] y by the plan, corrections included
 * @param dense writes [batch x d], what the dense layer makes of x
 */
public record ObservedLayer(
    int index,
    int batch,
    float[] input,
    float[] residual,
    float[] output,
    Consumer<float[]> dense) {}
