package io.rollcall.jobs.runtime;

import io.rollcall.engine.UserException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** Small files that options name, on any Hadoop file system. */
public final class TextFile {
  private TextFile() {}

  /**
   * @param what the option's word for it, for messages
   * @throws UserException when it cannot be read
   */
  public static String read(String what, String path, Configuration configuration) {
    return new String(bytes(what, path, configuration), StandardCharsets.UTF_8);
  }

  /** Like {@link #read}, of a file in the same directory as another. */
  public static byte[] sibling(
      String what, String of, String name, Configuration configuration) {
    return bytes(what, new Path(new Path(of).getParent(), name).toString(), configuration);
  }

  /**
   * Writes a new file.
   *
   * @throws UserException when it cannot be written
   */
  public static void write(
      String what, String path, byte[] content, Configuration configuration) {
    try {
      Path file = new Path(path);
      try (OutputStream out = file.getFileSystem(configuration).create(file, true)) {
        out.write(content);
      }
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(
          "cannot write " + what + " '" + path + "': " + StorageErrors.line(e), e);
    }
  }

  /**
   * Tries whether a file can be written later, by one of another name beside it.
   *
   * @throws UserException when none can be written there
   */
  public static void requireWritable(String what, String path, Configuration configuration) {
    try {
      Path file = new Path(path);
      Path tried = new Path(file.getParent(), "." + file.getName() + ".tmp");
      FileSystem files = file.getFileSystem(configuration);
      files.create(tried, true).close();
      files.delete(tried, false);
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(
          "cannot write " + what + " '" + path + "': " + StorageErrors.line(e) + "; choose another", e);
    }
  }

  /** @throws UserException when the path's file system cannot be asked */
  public static boolean exists(String what, String path, Configuration configuration) {
    try {
      Path file = new Path(path);
      return file.getFileSystem(configuration).exists(file);
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(
          "cannot look at " + what + " '" + path + "': " + StorageErrors.line(e), e);
    }
  }

  private static byte[] bytes(String what, String path, Configuration configuration) {
    try {
      Path file = new Path(path);
      try (InputStream in = file.getFileSystem(configuration).open(file)) {
        return in.readAllBytes();
      }
    } catch (FileNotFoundException e) {
      throw new UserException(what + " '" + path + "' does not exist; give a file's path", e);
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(
          "cannot read " + what + " '" + path + "': " + StorageErrors.line(e), e);
    }
  }
}
