package io.rollcall.jobs.input;

import io.rollcall.engine.UserException;
import io.rollcall.jobs.runtime.StorageErrors;
import java.io.IOException;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** Finds out what lies at an input path and opens it. */
final class InputFiles {
  private enum Format {
    PARQUET,
    JSON_LINES
  }

  private final SparkSession spark;
  private final String path;

  InputFiles(SparkSession spark, String path) {
    this.spark = spark;
    this.path = path;
  }

  Dataset<Row> open() {
    Set<Format> formats = formats();
    if (formats.isEmpty()) {
      throw new UserException(
          "input '" + path + "' holds no files; give Parquet or JSON lines (.json, .jsonl)");
    }
    if (formats.size() > 1) {
      throw new UserException(
          "input '" + path + "' mixes JSON lines with other files; give one kind at a time");
    }
    return formats.contains(Format.JSON_LINES) ? jsonLines() : parquet();
  }

  private Dataset<Row> parquet() {
    try {
      return spark.read().parquet(path);
    } catch (Exception e) {
      throw new UserException(
          "cannot read input '"
              + path
              + "' as Parquet: "
              + StorageErrors.line(e).replaceFirst("\\. Expected magic number.*", "")
              + "; Parquet and JSON lines (.json, .jsonl) are read",
          e);
    }
  }

  private Dataset<Row> jsonLines() {
    Dataset<Row> rows;
    try {
      rows = spark.read().json(path);
    } catch (Exception e) {
      throw new UserException(
          "cannot read input '" + path + "' as JSON lines: " + StorageErrors.line(e), e);
    }
    if (rows.schema().isEmpty() && rows.isEmpty()) {
      throw new UserException("input '" + path + "' has no rows");
    }
    String corrupt = spark.sessionState().conf().columnNameOfCorruptRecord();
    if (Arrays.equals(rows.columns(), new String[] {corrupt})) {
      throw new UserException(
          "input '" + path + "' is not JSON lines: none of its lines is a JSON object; write one"
              + " object a line");
    }
    return rows;
  }

  private Set<Format> formats() {
    Set<Format> formats = EnumSet.noneOf(Format.class);
    Configuration configuration = spark.sessionState().newHadoopConf();
    try {
      Path root = new Path(path);
      FileSystem files = root.getFileSystem(configuration);
      FileStatus[] matches = files.globStatus(root);
      if (matches == null || matches.length == 0) {
        throw new UserException(
            "input '" + path + "' does not exist; give a file, a directory or a glob that matches");
      }
      for (FileStatus match : matches) {
        if (match.isFile()) {
          formats.add(format(match.getPath()));
        } else {
          collect(files, match.getPath(), formats);
        }
      }
      return formats;
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException("cannot list input '" + path + "': " + StorageErrors.line(e), e);
    }
  }

  /** Looks at a directory as Spark's readers do: names with _ or . in front are not data. */
  private static void collect(FileSystem files, Path directory, Set<Format> formats)
      throws IOException {
    RemoteIterator<LocatedFileStatus> entries = files.listLocatedStatus(directory);
    while (entries.hasNext() && formats.size() < 2) {
      FileStatus entry = entries.next();
      String name = entry.getPath().getName();
      if (name.startsWith(".") || (name.startsWith("_") && !name.contains("="))) {
        continue;
      }
      if (entry.isFile()) {
        formats.add(format(entry.getPath()));
      } else if (name.contains("=")) {
        collect(files, entry.getPath(), formats);
      }
    }
  }

  private static Format format(Path file) {
    String name = file.getName().toLowerCase(Locale.ROOT);
    return name.matches(".*\\.(json|jsonl|ndjson)(\\.(gz|bz2|zst|zstd|lz4|snappy|deflate))?")
        ? Format.JSON_LINES
        : Format.PARQUET;
  }
}
