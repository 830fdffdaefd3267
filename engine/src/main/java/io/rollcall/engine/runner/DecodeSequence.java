package io.rollcall.engine.runner;

import io.rollcall.engine.sampling.RandomStream;

/**
 * A running sequence as a decode step sees it.
 *
 * @param slot of the key/value cache
 * @param token the last one, not in the cache yet
 * @param position its position
 * @param outputIndex index in the output of the token to be sampled: which random number it draws
 * @param remaining tokens that the sequence may still be given, at least 1
 */
public record DecodeSequence(
    int slot, int token, int position, RandomStream random, int outputIndex, int remaining) {}
