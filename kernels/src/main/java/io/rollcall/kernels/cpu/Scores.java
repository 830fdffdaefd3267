package io.rollcall.kernels.cpu;

/**
 * What neurons are called by.
 *
 * @param values [batch x width]
 * @param scale [width], or null for ones
 */
record Scores(float[] values, int batch, int width, float[] scale) {
  float magnitude(int sequence, int neuron) {
    float value = Math.abs(values[sequence * width + neuron]);
    return scale == null ? value : value * scale[neuron];
  }
}
