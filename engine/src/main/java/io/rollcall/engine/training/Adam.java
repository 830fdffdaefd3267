package io.rollcall.engine.training;

/** Adam (arXiv 1412.6980), beta 0.9 and 0.99, over one array of parameters. */
final class Adam {
  private static final float BETA1 = 0.9f;
  private static final float BETA2 = 0.99f;
  private static final float EPSILON = 1e-8f;

  private final float[] mean;
  private final float[] square;
  private int steps;

  Adam(int parameters) {
    mean = new float[parameters];
    square = new float[parameters];
  }

  void step(float[] parameters, float[] gradient, double rate) {
    steps++;
    double whole = 1 - Math.pow(BETA2, steps);
    float size = (float) (rate / (1 - Math.pow(BETA1, steps)) * Math.sqrt(whole));
    float epsilon = (float) (EPSILON * Math.sqrt(whole));
    for (int i = 0; i < mean.length; i++) {
      float g = gradient[i];
      mean[i] = BETA1 * mean[i] + (1 - BETA1) * g;
      square[i] = BETA2 * square[i] + (1 - BETA2) * g * g;
      parameters[i] -= size * mean[i] / ((float) Math.sqrt(square[i]) + epsilon);
    }
  }
}
