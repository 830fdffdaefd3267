package io.rollcall.engine.training;

/**
 * Binary cross-entropy of logits on which neurons the oracle calls, each weighted by what a wrong
 * answer costs: with r = score / threshold, calling a neuron or not changes the error of the layer's
 * output by about r^2 where a neuron at the threshold would change it by 1, so the weight is |r^2 - 1|,
 * at most {@value #MOST}. Without weights the many neurons near the threshold rule, where it does not
 * matter.
 */
final class WeightedCrossEntropy {
  static final float MOST = 200;
  private static final float[] WEIGHTS =
      ScoreRatio.table(ratio -> Math.min(MOST, Math.abs(ratio * ratio - 1)));

  private WeightedCrossEntropy() {}

  /** The weight of one answer. */
  static float weight(byte ratio) {
    return WEIGHTS[ratio - Byte.MIN_VALUE];
  }

  /**
   * Logits to the gradient of the loss by them.
   *
   * @param logits [n], replaced
   * @param ratios [n] as {@link ScoreRatio} has them
   * @param shift added to every logit: what all neurons have in common need not take up rank, and is
   *     no matter to a threshold
   * @param scale of the gradient
   * @return the gradient by the shift
   */
  static double gradient(float[] logits, byte[] ratios, int n, float shift, float scale) {
    for (int i = 0; i < n; i++) {
      logits[i] = sigmoid(logits[i] + shift);
    }
    double sum = 0;
    for (int i = 0; i < n; i++) {
      int ratio = ratios[i];
      float target = ratio >= 0 ? 1 : 0;
      float gradient = (logits[i] - target) * WEIGHTS[ratio - Byte.MIN_VALUE] * scale;
      logits[i] = gradient;
      sum += gradient;
    }
    return sum;
  }

  /** (1 + tanh(x/2)) / 2, tanh by a quotient of polynomials that a compiler turns into vectors. */
  static float sigmoid(float x) {
    float t = Math.max(-9f, Math.min(9f, 0.5f * x));
    float q = t * t;
    float p = -2.76076847742355e-16f;
    p = p * q + 2.00018790482477e-13f;
    p = p * q + -8.60467152213735e-11f;
    p = p * q + 5.12229709037114e-08f;
    p = p * q + 1.48572235717979e-05f;
    p = p * q + 6.37261928875436e-04f;
    p = p * q + 4.89352455891786e-03f;
    float w = 1.19825839466702e-06f;
    w = w * q + 1.18534705686654e-04f;
    w = w * q + 2.26843463243900e-03f;
    w = w * q + 4.89352518554385e-03f;
    return 0.5f + 0.5f * (t * p / w);
  }
}
