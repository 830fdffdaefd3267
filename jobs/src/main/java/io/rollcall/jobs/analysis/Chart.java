package io.rollcall.jobs.analysis;

import java.util.List;

/**
 * A picture, whatever draws it: what a page and a notebook share.
 *
 * @param categories of the horizontal axis, in order; empty where series have numbers there
 */
public record Chart(
    Kind kind, String title, Axis x, Axis y, List<String> categories, List<Series> series) {

  /** How values are drawn. */
  public enum Kind {
    BARS,
    LINES,
    POINTS
  }

  /** How an axis writes its numbers. */
  public enum Unit {
    SHARE,
    BYTES,
    NUMBER
  }

  public record Axis(String title, Unit unit) {}

  /**
   * @param reference drawn dashed: a law, a bound or an estimate beside what was measured
   * @param x horizontal positions; null where the chart has categories
   * @param y heights, as many as categories; NaN for none
   * @param labels of the points; null for none
   */
  public record Series(
      String name, boolean reference, double[] x, double[] y, List<String> labels) {

    static Series measured(String name, double[] y) {
      return new Series(name, false, null, y, null);
    }

    static Series reference(String name, double[] y) {
      return new Series(name, true, null, y, null);
    }
  }
}
