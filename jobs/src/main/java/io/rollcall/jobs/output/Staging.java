package io.rollcall.jobs.output;

import io.rollcall.engine.UserException;
import io.rollcall.jobs.runtime.StorageErrors;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A run's tables until it has succeeded, in {@code OUTPUT/.staging/RUN_ID}. Spark's committer works in
 * there: what a killed driver left, and what other runs are writing at the same time, is not its own to
 * take or to clean away, and an earlier run's tables stay until there are others in their place.
 *
 * <p>Publishing moves files one by one, so it says beforehand that it does, by an empty file: who finds it
 * may finish what a killed driver began, and ends with the same tables, however far it had come and however
 * many do so at a time.
 */
public final class Staging {
  private static final String STAGING = ".staging";
  private static final String REPLACED = "replaced";
  /** Complete tables, to be added to those that are there. */
  private static final String ADDS = "_ADDS";
  /** Complete tables, which take the place of those that are there. */
  private static final String REPLACES = "_REPLACES";
  /** Besides: those that were there are out of the way, and what is there now is new. */
  private static final String MADE_WAY = "_MADE_WAY";

  private static final String[] TABLES = {Tables.SPARSITY, Tables.GENERATIONS};
  private static final Logger LOG = LoggerFactory.getLogger(Staging.class);

  private final FileSystem files;
  private final Path root;
  private final String runId;
  private final Path staged;

  Staging(FileSystem files, Path root, String runId) {
    this.files = files;
    this.root = root;
    this.runId = runId;
    staged = new Path(root, STAGING + "/" + runId);
  }

  /** Those that somebody has begun to publish and not ended, by run. */
  static List<Staging> begun(FileSystem files, Path root) throws IOException {
    List<Staging> begun = new ArrayList<>();
    for (FileStatus run : list(files, new Path(root, STAGING))) {
      Staging staging = new Staging(files, root, run.getPath().getName());
      if (staging.has(ADDS) || staging.has(REPLACES)) {
        begun.add(staging);
      }
    }
    return begun;
  }

  String runId() {
    return runId;
  }

  /** Where the run writes its tables. */
  public String path() {
    return staged.toString();
  }

  /** Whether its tables take the place of others. */
  boolean replaces() throws IOException {
    return has(REPLACES);
  }

  /**
   * Moves the tables into the output, generations last: ids that stand there are answered. What was
   * replaced, and that this was begun, stays until {@link #discard}.
   *
   * @param replace earlier runs' tables, instead of adding to them
   * @throws UserException when a file cannot be moved; nothing is deleted then, and it may be tried again
   */
  public void publish(boolean replace) {
    try {
      files.mkdirs(staged);
      mark(replace ? REPLACES : ADDS);
      move();
    } catch (IOException e) {
      throw new UserException(
          "cannot move the run's tables from '" + staged + "' to '" + root + "': "
              + StorageErrors.line(e) + "; the next run into this output tries again",
          e);
    }
  }

  /** Goes on where publishing has stopped. */
  void move() throws IOException {
    // asked for in this order, since they are deleted in the other: what is new never makes way
    if (!has(MADE_WAY) && has(REPLACES)) {
      for (String table : TABLES) {
        makeWay(table);
      }
      mark(MADE_WAY);
    }
    for (String table : TABLES) {
      FileStatus[] written = list(files, new Path(staged, table));
      if (written.length == 0) {
        continue;
      }
      Path to = new Path(root, table);
      // a directory would be moved into another that a run beside this one has just made
      files.mkdirs(to);
      for (FileStatus file : written) {
        move(file.getPath(), new Path(to, file.getPath().getName()));
      }
    }
    files.create(new Path(root, "_SUCCESS"), true).close();
  }

  /** Deletes what is left here, if it can: what became of the run matters more. */
  public void discard() {
    try {
      delete();
    } catch (IOException e) {
      LOG.warn("cannot delete '{}', which is in no table: {}", staged, StorageErrors.line(e));
    }
  }

  private void makeWay(String table) throws IOException {
    Path there = new Path(root, table);
    Path replaced = new Path(staged, REPLACED + "/" + table);
    if (files.exists(replaced)) {
      return;
    }
    if (files.exists(there)) {
      files.mkdirs(replaced.getParent());
      move(there, replaced);
    } else {
      files.mkdirs(replaced);
    }
  }

  private boolean has(String mark) throws IOException {
    return files.exists(new Path(staged, mark));
  }

  private void mark(String mark) throws IOException {
    files.create(new Path(staged, mark), true).close();
  }

  private void delete() throws IOException {
    // first of all, so that nobody finishes what has ended
    files.delete(new Path(staged, ADDS), false);
    files.delete(new Path(staged, REPLACES), false);
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

  private static FileStatus[] list(FileSystem files, Path folder) throws IOException {
    try {
      return files.listStatus(folder);
    } catch (FileNotFoundException e) {
      return new FileStatus[0];
    }
  }

  /** A file that is there already has been moved by another that finishes the same. */
  private void move(Path from, Path to) throws IOException {
    boolean moved;
    try {
      moved = files.rename(from, to);
    } catch (FileNotFoundException e) {
      moved = false;
    }
    if (!moved && (files.exists(from) || !files.exists(to))) {
      throw new IOException("rename of " + from + " to " + to + " was refused");
    }
  }
}
