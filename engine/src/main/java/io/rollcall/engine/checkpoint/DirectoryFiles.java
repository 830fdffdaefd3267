package io.rollcall.engine.checkpoint;

import io.rollcall.engine.UserException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/** A checkpoint in a local directory. */
record DirectoryFiles(String name, Path directory, List<String> list) implements ModelFiles {

  static DirectoryFiles open(Path directory) {
    String name = directory.toString();
    if (!Files.isDirectory(directory)) {
      throw new UserException(
          "model '"
              + name
              + "' is not a directory; point --model at a Hugging Face checkpoint directory or use "
              + BuiltinFiles.names());
    }
    DirectoryFiles files = new DirectoryFiles(name, directory, listing(name, directory));
    if (!files.has("config.json")) {
      throw new UserException(
          "model '" + name + "' has no config.json; point --model at a Hugging Face checkpoint"
              + " directory");
    }
    return files;
  }

  private static List<String> listing(String name, Path directory) {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries
          .filter(Files::isRegularFile)
          .map(path -> path.getFileName().toString())
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new UserException("cannot list model '" + name + "': " + e.getMessage(), e);
    }
  }

  @Override
  public long size(String file) {
    try {
      return Files.size(path(file));
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  @Override
  public byte[] read(String file) {
    try {
      return Files.readAllBytes(path(file));
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  @Override
  public ByteBuffer map(String file, long offset, long length) {
    try (FileChannel channel = FileChannel.open(path(file))) {
      if (offset + length > channel.size()) {
        throw new UserException(
            "file '" + file + "' of model '" + name + "' ends at byte " + channel.size()
                + " where " + (offset + length) + " were expected; download it again");
      }
      return channel
          .map(FileChannel.MapMode.READ_ONLY, offset, length)
          .order(ByteOrder.LITTLE_ENDIAN);
    } catch (IOException e) {
      throw unreadable(file, e);
    }
  }

  private Path path(String file) {
    if (!has(file)) {
      throw new UserException(
          "model '" + name + "' has no " + file + "; download the whole checkpoint directory");
    }
    return directory.resolve(file);
  }

  private UserException unreadable(String file, IOException e) {
    return new UserException(
        "cannot read file '" + file + "' of model '" + name + "': " + e, e);
  }
}
