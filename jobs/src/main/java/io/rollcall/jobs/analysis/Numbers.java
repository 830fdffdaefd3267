package io.rollcall.jobs.analysis;

import java.util.Locale;

/** Figures for people, the same in sentences, tables and charts. */
public final class Numbers {
  private static final String[] BYTES = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};

  private Numbers() {}

  /** 0.214 is 21 %. */
  public static String percent(double share) {
    return Double.isNaN(share) ? "" : format("%.0f %%", rounded(100 * share, 1));
  }

  /** 0.0214 is 2.1 %. */
  public static String finePercent(double share) {
    return Double.isNaN(share) ? "" : format("%.1f %%", rounded(100 * share, 10));
  }

  /** Without the sign of a zero. */
  private static double rounded(double value, int parts) {
    return Math.round(parts * value) / (double) parts + 0.0;
  }

  /** Empty where there is none (NaN). */
  public static String density(double density) {
    return Double.isNaN(density) ? "" : format("%.2f", density);
  }

  /** A fraction, 0.214 say. */
  public static String thousandths(double fraction) {
    return format("%.3f", fraction);
  }

  public static String count(long count) {
    return format("%,d", count);
  }

  /** As seconds, minutes or hours, by how many there are. */
  public static String seconds(double seconds) {
    return seconds < 120
        ? format("%.1f s", seconds)
        : seconds < 7200 ? format("%.1f min", seconds / 60) : format("%.1f h", seconds / 3600);
  }

  /** Decimal: 1 GB is 10^9 bytes. */
  public static String size(double bytes) {
    int unit = 0;
    double value = bytes;
    while (Math.abs(value) >= 999.5 && unit < BYTES.length - 1) {
      value /= 1000;
      unit++;
    }
    return format(unit == 0 || value >= 99.95 ? "%.0f %s" : "%.1f %s", value, BYTES[unit]);
  }

  public static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
