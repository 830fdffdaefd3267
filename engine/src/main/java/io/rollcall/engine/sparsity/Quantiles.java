package io.rollcall.engine.sparsity;

/** Order statistics by partial sorting (Hoare's quickselect). */
public final class Quantiles {
  private Quantiles() {}

  /**
   * The q-quantile with linear interpolation between the two nearest ranks.
   *
   * @param values the first {@code count} are reordered
   * @param q in [0, 1]
   */
  public static float quantile(float[] values, int count, double q) {
    double position = q * (count - 1);
    int below = (int) Math.floor(position);
    float low = select(values, count, below);
    if (below == count - 1) {
      return low;
    }
    // select left everything from below+1 on at least as large as low
    float high = values[below + 1];
    for (int i = below + 2; i < count; i++) {
      high = Math.min(high, values[i]);
    }
    return (float) (low + (position - below) * (high - low));
  }

  /** The value of rank k (0-based) among the first {@code count}, which are reordered around it. */
  public static float select(float[] values, int count, int k) {
    int low = 0;
    int high = count - 1;
    while (low < high) {
      float pivot = median(values[low], values[(low + high) >>> 1], values[high]);
      int i = low;
      int j = high;
      while (i <= j) {
        while (values[i] < pivot) {
          i++;
        }
        while (values[j] > pivot) {
          j--;
        }
        if (i <= j) {
          float swap = values[i];
          values[i++] = values[j];
          values[j--] = swap;
        }
      }
      if (k <= j) {
        high = j;
      } else if (k >= i) {
        low = i;
      } else {
        break;
      }
    }
    return values[k];
  }

  private static float median(float a, float b, float c) {
    return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
  }
}
