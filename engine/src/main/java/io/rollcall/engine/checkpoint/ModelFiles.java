package io.rollcall.engine.checkpoint;

import io.rollcall.engine.UserException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;

/** The files of one Hugging Face checkpoint directory, wherever they lie. Safe for concurrent use. */
public interface ModelFiles {

  /** What the name of a model that ships inside the engine's jar begins with. */
  String BUILTIN = "builtin:";

  /** How the user named the model: a path or {@code builtin:summarizer-20m}. */
  String name();

  /** Plain file names in the directory, sorted. */
  List<String> list();

  /** @throws UserException naming the model and the file when it is not there */
  long size(String file);

  /** The whole of a small file. */
  byte[] read(String file);

  /**
   * A read-only, little-endian view of a range of a file, memory-mapped where the file system
   * allows it.
   *
   * @param length at most 2^31 - 1
   */
  ByteBuffer map(String file, long offset, long length);

  default boolean has(String file) {
    return list().contains(file);
  }

  /**
   * The model a user named.
   *
   * @param spec {@code builtin:NAME} or a local directory
   * @throws UserException when there is no such model
   */
  static ModelFiles locate(String spec) {
    return spec.startsWith(BUILTIN)
        ? builtin(spec.substring(BUILTIN.length()))
        : directory(Path.of(spec));
  }

  /** @throws UserException when it is no directory or has no config.json */
  static ModelFiles directory(Path directory) {
    return DirectoryFiles.open(directory);
  }

  /**
   * @param name without {@link #BUILTIN}
   * @throws UserException naming the models there are
   */
  static ModelFiles builtin(String name) {
    return BuiltinFiles.open(name);
  }
}
