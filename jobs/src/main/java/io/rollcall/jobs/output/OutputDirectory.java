package io.rollcall.jobs.output;

import io.rollcall.engine.UserException;
import io.rollcall.jobs.runtime.StorageErrors;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.StructType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** OUTPUT: generations, sparsity and runs, on any Hadoop file system. */
public final class OutputDirectory {
  private static final Logger LOG = LoggerFactory.getLogger(OutputDirectory.class);
  private static final String RUNS = "runs";
  /** Says whose the directory is, before the first run's record does. */
  private static final String MARKER = ".rollcall";

  private final Path root;
  private final FileSystem files;

  /** @throws UserException when there is no such file system */
  public OutputDirectory(String path, Configuration configuration) {
    try {
      root = new Path(path);
      files = root.getFileSystem(configuration);
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException("cannot use output '" + path + "': " + StorageErrors.line(e), e);
    }
  }

  public String path() {
    return root.toString();
  }

  /** Path of the generations table. */
  public String generations() {
    return new Path(root, Tables.GENERATIONS).toString();
  }

  /** Path of the sparsity table. */
  public String sparsity() {
    return new Path(root, Tables.SPARSITY).toString();
  }

  /** Path of a run's record. */
  public String record(String runId) {
    return new Path(root, RUNS + "/" + runId + ".json").toString();
  }

  /**
   * Checks that a run may write here by the mode; changes nothing.
   *
   * @throws UserException for an output that exists or is something else's
   */
  public void admit(WriteMode mode) {
    try {
      if (!empty()) {
        if (mode == WriteMode.ERROR) {
          throw new UserException(
              "output '"
                  + root
                  + "' exists; choose --mode overwrite, append or resume, or another --output");
        }
        if (!ours()) {
          throw new UserException(
              "output '"
                  + root
                  + "' is not empty and not written by Rollcall (it has no runs/*.json); choose"
                  + " another --output");
        }
      }
    } catch (IOException e) {
      throw new UserException("cannot list output '" + root + "': " + StorageErrors.line(e), e);
    }
  }

  /**
   * Makes the directory this project's own; deletes nothing.
   *
   * @throws UserException when it cannot be written
   */
  public void prepare() {
    try {
      files.mkdirs(root);
      files.create(new Path(root, MARKER), true).close();
    } catch (IOException e) {
      throw new UserException(
          "cannot write output '" + root + "': "
              + StorageErrors.line(e) + "; choose another --output", e);
    }
  }

  /**
   * @throws UserException when an input lies in the tables that this run would write or delete
   */
  public void requireOutside(String input) {
    String path = qualified(new Path(input));
    for (String table : new String[] {Tables.GENERATIONS, Tables.SPARSITY}) {
      String own = qualified(new Path(root, table));
      if (path.equals(own) || path.startsWith(own + "/")) {
        throw new UserException(
            "input '" + input + "' is one of the output's own tables; choose another --output");
      }
    }
  }

  private String qualified(Path path) {
    try {
      return path.getFileSystem(files.getConf()).makeQualified(path).toString();
    } catch (IOException e) {
      throw new UserException("cannot read '" + path + "': " + StorageErrors.line(e), e);
    }
  }

  /** Where a run writes its tables before they are these. */
  public Staging staging(String runId) {
    return new Staging(files, root, runId);
  }

  /**
   * Finishes what runs whose driver ended in between had begun to publish: their rows are complete, and
   * some of them may be in the tables. Their records then say that they succeeded.
   *
   * @throws UserException when a file cannot be moved
   */
  public void finishPublishing() {
    try {
      for (Staging staging : Staging.begun(files, root)) {
        staging.move();
        if (staging.replaces()) {
          forgetOthers(staging.runId());
        }
        RunRecord.recovered(this, staging.runId());
        staging.discard();
        LOG.info("The tables of run {}, whose driver ended before they were all in place, are", staging.runId());
      }
    } catch (IOException e) {
      throw new UserException(
          "cannot finish what runs into '" + root + "' had begun to publish: " + StorageErrors.line(e), e);
    }
  }

  /** Deletes the records of all runs but this one, whose tables have replaced theirs. */
  public void forgetOthers(String runId) {
    try {
      for (FileStatus record : recordFiles()) {
        if (!record.getPath().getName().equals(runId + ".json")) {
          files.delete(record.getPath(), false);
        }
      }
    } catch (IOException e) {
      throw new UserException("cannot delete runs of '" + root + "': " + StorageErrors.line(e), e);
    }
  }

  /**
   * Checks that rows with these columns can stand beside those that are here; changes nothing.
   *
   * @throws UserException when a column has another type, or is only in one of them
   */
  public void requireSameColumns(SparkSession spark, StructType generations) {
    try {
      if (!files.exists(new Path(generations()))) {
        return;
      }
    } catch (IOException e) {
      throw new UserException("cannot read output '" + root + "': " + StorageErrors.line(e), e);
    }
    String here = columns(spark.read().parquet(generations()).schema());
    String wanted = columns(generations);
    if (!here.equals(wanted)) {
      throw new UserException(
          "output '"
              + root
              + "' has generations with the columns "
              + here
              + ", and this run's are "
              + wanted
              + "; keep the same columns in the same types (--keep-columns), or choose another --output");
    }
  }

  private static String columns(StructType schema) {
    return Stream.of(schema.fields())
        .map(field -> field.name() + " " + field.dataType().catalogString())
        .sorted()
        .collect(Collectors.joining(", "));
  }

  /** The generations already here, in column {@code id}; empty where there are none. */
  public Dataset<Row> doneIds(SparkSession spark) {
    try {
      if (files.exists(new Path(generations()))) {
        return spark.read().parquet(generations()).select("id");
      }
      return spark.emptyDataset(Encoders.STRING()).toDF("id");
    } catch (IOException e) {
      throw new UserException("cannot read output '" + root + "': " + StorageErrors.line(e), e);
    }
  }

  /** Puts a run's record in place whole: a reader sees the earlier one, this one, or for a moment none. */
  public void writeRecord(String runId, String json) {
    Path target = new Path(record(runId));
    Path temporary = new Path(target.getParent(), "." + runId + ".tmp");
    try {
      try (FSDataOutputStream out = files.create(temporary, true)) {
        out.write(json.getBytes(StandardCharsets.UTF_8));
      }
      // Not every file system renames over a file.
      files.delete(target, false);
      if (!files.rename(temporary, target)) {
        throw new IOException("rename to " + target + " was refused");
      }
    } catch (IOException e) {
      throw new UserException(
          "cannot write run record '" + target + "': " + StorageErrors.line(e), e);
    }
  }

  /** Whether a run that finished has left both tables here. */
  public boolean hasTables() {
    try {
      return files.exists(new Path(generations())) && files.exists(new Path(sparsity()));
    } catch (IOException e) {
      throw new UserException("cannot read output '" + root + "': " + StorageErrors.line(e), e);
    }
  }

  /** A run's record, as JSON; empty where it has none. */
  Optional<String> readRecord(String runId) {
    try (var in = files.open(new Path(record(runId)))) {
      return Optional.of(new String(in.readAllBytes(), StandardCharsets.UTF_8));
    } catch (FileNotFoundException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw new UserException("cannot read '" + record(runId) + "': " + StorageErrors.line(e), e);
    }
  }

  /** The records of earlier runs, as JSON. */
  public List<String> records() {
    try {
      List<String> records = new ArrayList<>();
      for (FileStatus match : recordFiles()) {
        try (var in = files.open(match.getPath())) {
          records.add(new String(in.readAllBytes(), StandardCharsets.UTF_8));
        }
      }
      return records;
    } catch (IOException e) {
      throw new UserException("cannot read runs of '" + root + "': " + StorageErrors.line(e), e);
    }
  }

  private boolean empty() throws IOException {
    if (!files.exists(root)) {
      return true;
    }
    if (files.getFileStatus(root).isFile()) {
      throw new UserException(
          "output '" + root + "' is a file; give a directory to write tables into");
    }
    return Stream.of(files.listStatus(root))
        .allMatch(entry -> entry.getPath().getName().startsWith("."));
  }

  private boolean ours() throws IOException {
    if (files.exists(new Path(root, MARKER))) {
      return true;
    }
    return recordFiles().length > 0;
  }

  private FileStatus[] recordFiles() throws IOException {
    FileStatus[] matches = files.globStatus(new Path(root, RUNS + "/*.json"));
    return matches == null ? new FileStatus[0] : matches;
  }
}
