package io.rollcall.jobs.output

import org.apache.hadoop.fs.{LocalFileSystem, Path}

/** The local file system, but a process dies instead of renaming once too often. */
class MortalFileSystem extends LocalFileSystem {
  override def rename(from: Path, to: Path): Boolean = {
    if (MortalFileSystem.left == 0) throw new MortalFileSystem.Killed
    MortalFileSystem.left -= 1
    super.rename(from, to)
  }
}

object MortalFileSystem {
  final class Killed extends Error

  /** Renames until then. */
  @volatile var left: Int = Int.MaxValue
}
