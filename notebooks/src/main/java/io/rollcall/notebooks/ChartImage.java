package io.rollcall.notebooks;

import io.rollcall.jobs.analysis.Chart;
import io.rollcall.jobs.analysis.Numbers;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.font.FontRenderContext;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.function.Function;
import org.knowm.xchart.BitmapEncoder;
import org.knowm.xchart.BitmapEncoder.BitmapFormat;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.CategorySeries;
import org.knowm.xchart.CategorySeries.CategorySeriesRenderStyle;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.AxesChartStyler;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** A chart as a PNG, which a code host shows without running anything. */
final class ChartImage {
  private static final int WIDTH = 860;
  private static final int HEIGHT = 400;
  /** Of a legend's entry beside its name, and of the lines of a column of them. */
  private static final int LEGEND_MARK = 56;

  private static final int LEGEND_LINE = 22;
  private static final Font TEXT = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
  private static final Color INK = new Color(0x16191d);
  private static final Color QUIET = new Color(0x555c66);
  private static final Color LINE = new Color(0xd9dde3);
  /** Okabe and Ito, told apart with any colour vision; darkened for lines on white. */
  private static final Color[] COLOURS = {
    new Color(0x0072b2), new Color(0xc35a00), new Color(0x00805f),
    new Color(0xa8497f), new Color(0x7a6a00), new Color(0x2f7fae)
  };
  private static final Marker[] MARKERS = {
    SeriesMarkers.CIRCLE, SeriesMarkers.SQUARE, SeriesMarkers.TRIANGLE_UP,
    SeriesMarkers.DIAMOND, SeriesMarkers.TRIANGLE_DOWN, SeriesMarkers.CROSS
  };
  private static final BasicStroke SOLID = new BasicStroke(2f);
  private static final BasicStroke DASHED =
      new BasicStroke(1.5f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 10f, new float[] {6f, 4f}, 0f);

  private ChartImage() {}

  /** A PNG, in Base64. */
  static String base64(Chart chart) {
    try {
      return Base64.getEncoder()
          .encodeToString(
              BitmapEncoder.getBitmapBytes(
                  chart.kind() == Chart.Kind.POINTS ? points(chart) : categories(chart),
                  BitmapFormat.PNG));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static CategoryChart categories(Chart chart) {
    CategoryChart image =
        new CategoryChartBuilder()
            .width(WIDTH)
            .height(height(chart))
            .title(chart.title())
            .xAxisTitle(chart.x().title())
            .yAxisTitle(chart.y().title())
            .build();
    style(image.getStyler(), chart);
    image.getStyler().setAvailableSpaceFill(0.6);
    // series stand beside each other unless one alone has width
    long wide =
        chart.kind() == Chart.Kind.LINES
            ? 0
            : chart.series().stream().filter(series -> !series.reference()).count();
    image.getStyler().setOverlapped(wide < 2);
    Function<Double, String> format = format(chart.y().unit());
    image.getStyler().setyAxisTickLabelsFormattingFunction(format);
    image.getStyler().setYAxisMin(0.0);
    double highest =
        chart.series().stream()
            .flatMapToDouble(series -> Arrays.stream(series.y()))
            .filter(Double::isFinite)
            .max()
            .orElse(0);
    boolean share = chart.y().unit() == Chart.Unit.SHARE;
    if (share && highest > 0.6 && highest <= 1) {
      image.getStyler().setYAxisMax(1.0);
    } else if (share && highest < 0.1) {
      image.getStyler().setYAxisMax(0.1);
    }
    int next = 0;
    for (Chart.Series series : chart.series()) {
      List<Double> heights = new ArrayList<>();
      for (double y : series.y()) {
        heights.add(Double.isFinite(y) ? y : null);
      }
      CategorySeries drawn = image.addSeries(series.name(), chart.categories(), heights);
      boolean bars = chart.kind() == Chart.Kind.BARS && !series.reference();
      boolean mark = chart.kind() == Chart.Kind.BARS && series.reference();
      Color colour = mark ? INK : COLOURS[next % COLOURS.length];
      drawn.setChartCategorySeriesRenderStyle(
          bars ? CategorySeriesRenderStyle.Bar : CategorySeriesRenderStyle.Line);
      drawn.setFillColor(colour);
      drawn.setLineColor(colour);
      drawn.setLineStyle(series.reference() ? DASHED : SOLID);
      drawn.setMarker(mark ? SeriesMarkers.DIAMOND : MARKERS[next % MARKERS.length]);
      drawn.setMarkerColor(colour);
      next += mark ? 0 : 1;
    }
    return image;
  }

  private static XYChart points(Chart chart) {
    XYChart image =
        new XYChartBuilder()
            .width(WIDTH)
            .height(height(chart))
            .title(chart.title())
            .xAxisTitle(chart.x().title())
            .yAxisTitle(chart.y().title())
            .build();
    style(image.getStyler(), chart);
    image.getStyler().setyAxisTickLabelsFormattingFunction(format(chart.y().unit()));
    image.getStyler().setxAxisTickLabelsFormattingFunction(format(chart.x().unit()));
    int next = 0;
    for (Chart.Series series : chart.series()) {
      XYSeries drawn = image.addSeries(series.name(), series.x(), series.y());
      Color colour = series.reference() ? INK : COLOURS[next % COLOURS.length];
      drawn.setLineColor(colour);
      drawn.setLineStyle(series.reference() ? DASHED : SOLID);
      // past the last colour, other markers tell series apart
      Marker marker = MARKERS[(next + next / COLOURS.length) % MARKERS.length];
      drawn.setMarker(series.reference() ? SeriesMarkers.NONE : marker);
      drawn.setMarkerColor(colour);
      next += series.reference() ? 0 : 1;
    }
    return image;
  }

  private static void style(AxesChartStyler styler, Chart chart) {
    styler.setBaseFont(TEXT);
    styler.setChartTitleFont(TEXT.deriveFont(Font.BOLD, 13f));
    styler.setAxisTitleFont(TEXT);
    styler.setAxisTickLabelsFont(TEXT);
    styler.setLegendFont(TEXT);
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setPlotBackgroundColor(Color.WHITE);
    styler.setPlotBorderVisible(false);
    styler.setPlotGridVerticalLinesVisible(false);
    styler.setPlotGridLinesColor(LINE);
    styler.setPlotGridLinesStroke(new BasicStroke(1f));
    styler.setAxisTicksMarksVisible(false);
    styler.setAxisTickLabelsColor(QUIET);
    styler.setChartFontColor(INK);
    styler.setChartTitleBoxVisible(false);
    boolean row = legendFitsARow(chart);
    styler.setLegendPosition(row ? LegendPosition.OutsideS : LegendPosition.OutsideE);
    styler.setLegendLayout(row ? LegendLayout.Horizontal : LegendLayout.Vertical);
    styler.setLegendBorderColor(Color.WHITE);
    styler.setMarkerSize(8);
  }

  /** A row of entries is not wrapped: one that is too long stands as a column beside the plot. */
  private static boolean legendFitsARow(Chart chart) {
    FontRenderContext plain = new FontRenderContext(null, true, true);
    double width =
        chart.series().stream()
            .mapToDouble(s -> LEGEND_MARK + TEXT.getStringBounds(s.name(), plain).getWidth())
            .sum();
    return width < WIDTH;
  }

  private static int height(Chart chart) {
    return legendFitsARow(chart)
        ? HEIGHT
        : Math.max(HEIGHT, LEGEND_LINE * (chart.series().size() + 2));
  }

  private static Function<Double, String> format(Chart.Unit unit) {
    return switch (unit) {
      case SHARE -> share -> Math.abs(share) < 0.1 && share != 0 ? Numbers.finePercent(share) : Numbers.percent(share);
      case BYTES -> Numbers::size;
      case NUMBER -> number -> Numbers.format(number == Math.rint(number) ? "%.0f" : "%.3g", number);
    };
  }
}
