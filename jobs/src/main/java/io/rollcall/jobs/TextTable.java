package io.rollcall.jobs;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** A table of text with fixed column widths; cells wrap at words, up to a number of lines. */
public final class TextTable {
  /** @param right whether cells align right, as numbers do */
  public record Column(String title, int width, boolean right) {}

  private static final String GAP = "  ";

  private final List<Column> columns;
  private final int lines;
  private final StringBuilder text = new StringBuilder();

  /** @param lines most lines of a row; what is longer ends in an ellipsis */
  public TextTable(int lines, Column... columns) {
    this.lines = lines;
    this.columns = List.of(columns);
    append(Arrays.stream(columns).map(Column::title).toList());
    append(Arrays.stream(columns).map(column -> "─".repeat(column.width())).toList());
  }

  /** @param cells one for each column */
  public TextTable row(Object... cells) {
    append(Arrays.stream(cells).map(Object::toString).toList());
    return this;
  }

  @Override
  public String toString() {
    return text.toString();
  }

  private void append(List<String> cells) {
    List<List<String>> wrapped = new ArrayList<>();
    int height = 1;
    for (int i = 0; i < cells.size(); i++) {
      wrapped.add(wrap(cells.get(i), columns.get(i).width(), lines));
      height = Math.max(height, wrapped.get(i).size());
    }
    for (int line = 0; line < height; line++) {
      StringBuilder row = new StringBuilder(GAP);
      for (int i = 0; i < wrapped.size(); i++) {
        String part = line < wrapped.get(i).size() ? wrapped.get(i).get(line) : "";
        Column column = columns.get(i);
        String space = " ".repeat(column.width() - part.length());
        row.append(column.right() ? space + part : part + space).append(GAP);
      }
      text.append(row.toString().stripTrailing()).append('\n');
    }
  }

  static List<String> wrap(String cell, int width, int most) {
    List<String> wrapped = new ArrayList<>();
    StringBuilder line = new StringBuilder();
    for (String word : cell.strip().split("\\s+")) {
      // A word longer than the column is cut.
      for (int from = 0; from < word.length() || from == 0; from += width) {
        String piece = word.substring(from, Math.min(word.length(), from + width));
        if (!line.isEmpty() && line.length() + 1 + piece.length() > width) {
          wrapped.add(line.toString());
          line.setLength(0);
        }
        line.append(line.isEmpty() ? "" : " ").append(piece);
      }
    }
    wrapped.add(line.toString());
    if (wrapped.size() <= most) {
      return wrapped;
    }
    List<String> cut = new ArrayList<>(wrapped.subList(0, most));
    String last = cut.get(most - 1);
    cut.set(most - 1, last.substring(0, Math.min(last.length(), width - 1)) + "…");
    return cut;
  }
}
