package io.rollcall.engine.model;

/**
 * Rotary position embedding: angle(position, i) = position * inverseFrequencies[i].
 *
 * @param inverseFrequencies [headSize / 2], with any scaling of config.json's rope_parameters applied
 */
public record Rope(float[] inverseFrequencies) {

  /** cos of every angle, [context x headSize/2]; computed in f32 as transformers does. */
  public float[] cos(int context) {
    return table(context, true);
  }

  /** sin of every angle, [context x headSize/2]. */
  public float[] sin(int context) {
    return table(context, false);
  }

  private float[] table(int context, boolean cosine) {
    int half = inverseFrequencies.length;
    float[] table = new float[context * half];
    for (int position = 0; position < context; position++) {
      for (int i = 0; i < half; i++) {
        float angle = position * inverseFrequencies[i];
        table[position * half + i] = (float) (cosine ? Math.cos(angle) : Math.sin(angle));
      }
    }
    return table;
  }
}
