package io.rollcall.engine.sampling;

import java.nio.charset.StandardCharsets;

/**
 * Uniform numbers that depend on a seed, an id and a counter alone, so that a prompt draws the same
 * ones in any batch, partition, retry or backend. Numbers are SplitMix64's (Steele, Lea and Flood,
 * OOPSLA 2014) over a key mixed from the seed and the id's 64-bit FNV-1a hash.
 */
public final class RandomStream {
  private static final long GAMMA = 0x9E3779B97F4A7C15L;

  private final long key;

  public RandomStream(long seed, String id) {
    key = mix(mix(seed + GAMMA) ^ fnv1a(id));
  }

  /** What the numbers follow from, for a backend that computes them itself. */
  public long key() {
    return key;
  }

  /** The number of index i, in [0, 1), with 24 random bits. */
  public float uniform(long i) {
    return (mix(key + (i + 1) * GAMMA) >>> 40) * 0x1p-24f;
  }

  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
    z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
    return z ^ (z >>> 31);
  }

  private static long fnv1a(String id) {
    long hash = 0xCBF29CE484222325L;
    for (byte b : id.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xFF)) * 0x100000001B3L;
    }
    return hash;
  }
}
