package io.rollcall.engine.checkpoint;

import io.rollcall.engine.UserException;
import java.nio.ByteBuffer;
import java.util.List;

/** The files of one Hugging Face checkpoint directory, wherever they lie. */
public interface ModelFiles {

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
}
