package io.rollcall.jobs.output;

import io.rollcall.engine.UserException;
import io.rollcall.jobs.runtime.StorageErrors;
import java.io.FileNotFoundException;
import java.io.IOException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run's tables until it has succeeded, in {@code OUTPUT/.staging/RUN_ID}. Spark's committer works in
 * there: what a killed driver left, and what other runs are writing at the same time, is not its own to
 * take or to clean away, and an earlier run's tables stay until there are others in their place.
 */
public final class Staging {
  private static final String STAGING = ".staging";
  private static final String REPLACED = "replaced";
  private static final Logger LOG = LoggerFactory.getLogger(Staging.class);

  private final FileSystem files;
  private final Path root;
  private final Path staged;

  Staging(FileSystem files, Path root, String runId) {
    this.files = files;
    this.root = root;
    staged = new Path(root, STAGING + "/" + runId);
  }

  /** Where the run writes its tables. */
  public String path() {
    return staged.toString();
  }

  /**
   * Moves the tables into the output, generations last: ids that stand there are answered.
   *
   * @param replace earlier runs' tables, instead of adding to them
   * @throws UserException when a file cannot be moved; nothing is deleted then
   */
  public void publish(boolean replace) {
    try {
      for (String table : new String[] {Tables.SPARSITY, Tables.GENERATIONS}) {
        Path from = new Path(staged, table);
        Path to = new Path(root, table);
        if (replace && files.exists(to)) {
          Path replaced = new Path(staged, REPLACED);
          files.mkdirs(replaced);
          move(to, new Path(replaced, table));
        }
        if (!files.exists(from)) {
          continue;
        }
        // a directory would be moved into another that a run beside this one has just made
        files.mkdirs(to);
        for (FileStatus file : files.listStatus(from)) {
          move(file.getPath(), new Path(to, file.getPath().getName()));
        }
      }
      files.create(new Path(root, "_SUCCESS"), true).close();
      delete();
    } catch (IOException e) {
      throw new UserException(
          "cannot move the run's tables from '" + staged + "' to '" + root + "': "
              + StorageErrors.line(e),
          e);
    }
  }

  /** Deletes what a run that failed has written, if it can: why it failed matters more. */
  public void discard() {
    try {
      delete();
    } catch (IOException e) {
      LOG.warn("cannot delete '{}', which is in no table: {}", staged, StorageErrors.line(e));
    }
  }

  private void delete() throws IOException {
    files.delete(staged, true);
    Path all = staged.getParent();
    try {
      if (files.listStatus(all).length == 0) {
        files.delete(all, false);
      }
    } catch (FileNotFoundException e) {
      // another run that ended has deleted it
    }
  }

  private void move(Path from, Path to) throws IOException {
    if (!files.rename(from, to)) {
      throw new IOException("rename of " + from + " to " + to + " was refused");
    }
  }
}
