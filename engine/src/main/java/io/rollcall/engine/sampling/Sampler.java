package io.rollcall.engine.sampling;

import java.util.Arrays;

/** Chooses the next token from logits: greedy, or temperature and nucleus (top-p) sampling. */
public final class Sampler {
  private final double temperature;
  private final double topP;
  private final int vocabulary;
  private final float[] weights;
  private final long[] order;

  public Sampler(Sampling sampling, int vocabulary) {
    this.temperature = sampling.temperature();
    this.topP = sampling.topP();
    this.vocabulary = vocabulary;
    weights = new float[vocabulary];
    order = new long[vocabulary];
  }

  /**
   * @param logits of one sequence, from {@code offset}
   * @param index of the token in its output: which number of the stream it draws
   */
  public int sample(float[] logits, int offset, RandomStream random, int index) {
    int best = argmax(logits, offset);
    return temperature == 0 ? best : draw(logits, offset, logits[offset + best], random.uniform(index));
  }

  /** The lowest of the tokens with the largest logit. */
  private int argmax(float[] logits, int offset) {
    int best = 0;
    for (int token = 1; token < vocabulary; token++) {
      if (logits[offset + token] > logits[offset + best]) {
        best = token;
      }
    }
    return best;
  }

  private int draw(float[] logits, int offset, float largest, float uniform) {
    double total = 0;
    for (int token = 0; token < vocabulary; token++) {
      float weight = (float) Math.exp((logits[offset + token] - largest) / temperature);
      weights[token] = weight;
      total += weight;
      // positive floats order like their bits; the complement of the token puts lower tokens first
      order[token] = (long) Float.floatToRawIntBits(weight) << 32 | ~token & 0xFFFFFFFFL;
    }
    if (topP == 1) {
      return first(uniform * total);
    }
    Arrays.sort(order);
    double nucleus = 0;
    int size = 0;
    while (nucleus < topP * total && size < vocabulary) {
      nucleus += weights[ranked(size++)];
    }
    double target = uniform * nucleus;
    double sum = 0;
    for (int rank = 0; rank < size; rank++) {
      sum += weights[ranked(rank)];
      if (sum > target) {
        return ranked(rank);
      }
    }
    return ranked(size - 1);
  }

  private int ranked(int rank) {
    return ~(int) order[vocabulary - 1 - rank];
  }

  private int first(double target) {
    double sum = 0;
    int last = 0;
    for (int token = 0; token < vocabulary; token++) {
      if (weights[token] > 0) {
        sum += weights[token];
        last = token;
        if (sum > target) {
          return token;
        }
      }
    }
    return last;
  }
}
