package io.rollcall.jobs.analysis;

import java.util.ArrayList;
import java.util.List;

/**
 * Figures as a reader sees them.
 *
 * @param rows cells, as many as columns
 */
public record DataTable(List<Column> columns, List<List<String>> rows) {

  /** @param number whether its cells align right */
  public record Column(String title, boolean number) {}

  /** Titles; those that start with # are of numbers. */
  static DataTable of(String... titles) {
    List<Column> columns = new ArrayList<>();
    for (String title : titles) {
      boolean number = title.startsWith("#");
      columns.add(new Column(number ? title.substring(1) : title, number));
    }
    return new DataTable(List.copyOf(columns), new ArrayList<>());
  }

  DataTable row(String... cells) {
    if (cells.length != columns.size()) {
      throw new IllegalArgumentException(cells.length + " cells for " + columns.size() + " columns");
    }
    rows.add(List.of(cells));
    return this;
  }
}
